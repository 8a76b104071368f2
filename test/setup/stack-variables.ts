import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Addresses and keys of the stack under test. */
    stack: Record<string, string>;
    apiUrl: string;
    workflowBundle: string;
    testServer: string;
  }
}

export function stackVariable(name: string): string {
  const value = inject("stack")[name];
  if (!value) throw new Error(`the stack gives no ${name}`);
  return value;
}
