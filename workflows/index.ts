export { createRepl } from "./create-repl.ts";
export { deleteRepl } from "./delete-repl.ts";
export { openRepl } from "./open-repl.ts";
export { pruneSaves } from "./prune-saves.ts";
export { reconcileRepls } from "./reconcile-repls.ts";
export { rescueRepl } from "./rescue-repl.ts";
export { restoreRepl } from "./restore-repl.ts";
export { shutdownRepl } from "./shutdown-repl.ts";
