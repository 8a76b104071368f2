import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { openBucket } from "../../domain/open-bucket.ts";
import { stackObjectStore } from "./stack-variables.ts";

/** The stack's bucket as a worker leaves it, whether one has run or not. */
export async function openStackBucket() {
  const store = createS3ObjectStore(stackObjectStore());
  const problem = await openBucket(store, "bucket", { hasSessions: false });
  if (problem) throw new Error(problem);
  return store;
}
