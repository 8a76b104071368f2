export { createRepl } from "./create-repl.ts";
export { deleteRepl } from "./delete-repl.ts";
export { openRepl } from "./open-repl.ts";
export { shutdownRepl } from "./shutdown-repl.ts";
