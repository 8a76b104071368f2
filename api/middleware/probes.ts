const paths: ReadonlySet<string> = new Set(["/livez", "/readyz", "/ping", "/metrics"]);

/** Whether a path, or the route of one, is asked for by machines, every few seconds, and says nothing about anybody. */
export const isProbe = (path: string): boolean => paths.has(path);
