import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Addresses and keys of the stack under test. */
    stack: Record<string, string>;
    apiUrl: string;
    /** Their environment, and the file that lists their process ids. */
    worker: { environment: Record<string, string | undefined>; list: string };
    workflowBundle: string;
    testServer: string;
  }
}

export function stackVariable(name: string): string {
  const value = inject("stack")[name];
  if (!value) throw new Error(`the stack gives no ${name}`);
  return value;
}

/** Where the stack's object store is, and its keys. */
export function stackObjectStore() {
  return {
    endpoint: stackVariable("S3_ENDPOINT"),
    region: stackVariable("S3_REGION"),
    bucket: stackVariable("S3_BUCKET"),
    accessKey: stackVariable("S3_ACCESS_KEY"),
    secretKey: stackVariable("S3_SECRET_KEY"),
  };
}
