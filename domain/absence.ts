import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { FileStore } from "./ports.ts";

/**
 * **The rule for absence.** What a store does not show is either absent or out of sight, and only the first may have
 * consequences. An object or version is absent when the store itself says so, by its own code. An empty list is
 * believed beside a sign of the same moment that it is the right bucket: its sentinel, `.devex/registry`, reads.
 * Anything else is `unavailable`: a bucket that does not exist, a page of a proxy, an answer that is cut off.
 */

/** What a store, or something in its place, answered that did not do what it was asked for. */
export interface Refusal {
  readonly status: number;
  /** The store's own word for it; undefined where the answer is not an error of an object store. */
  readonly code?: string | undefined;
  /** The store's sentence, or in words what came in place of one. */
  readonly message: string;
}

export function isAbsence({ status, code, message }: Refusal): boolean {
  if (status === 404) return code === "NoSuchKey" || code === "NoSuchVersion";
  // A version id that no version ever had is, to some stores, an invalid argument.
  return status === 400 && code === "InvalidArgument" && /version/i.test(message);
}

/** Of this name or this size, whenever it is asked: another name may do. */
const refusesName: ReadonlySet<string> = new Set([
  "KeyTooLongError",
  "InvalidURI",
  "InvalidObjectName",
  "EntityTooLarge",
  "XMinioInvalidObjectName",
  "XMinioParentIsObject",
  "XMinioObjectExistsAsDirectory",
]);

/** The same, also where a proxy says it. */
const tooMuchAt: ReadonlyMap<number, string> = new Map([
  [413, "request so big"],
  [414, "name so long"],
]);

/** What a refusal means to whoever asked. */
export function errorOf(what: string, refusal: Refusal): ReplError {
  const { status, code, message } = refusal;
  if (isAbsence(refusal)) return new ReplError("not_found", `${what}: nothing there`);
  if (status === 403)
    return new ReplError("unavailable", `${what}: the object store refuses our keys (${code ?? message})`);
  const tooMuch = tooMuchAt.get(status);
  // What is told of it is cut off after some words, and names the path anyway.
  if (tooMuch)
    return new ReplError("invalid", `status ${status}: the store, or a proxy before it, takes no ${tooMuch} (${what})`);
  if (code === undefined)
    return new ReplError(
      "unavailable",
      `${what}: status ${status} came with ${message}, not with an error of the object store: does something else answer in its place?`,
    );
  if (status === 412 || status === 409) return new ReplError("conflict", `${what}: changed by somebody else`);
  if (refusesName.has(code)) return new ReplError("invalid", `${what}: the object store answers ${code}`);
  if (code === "NoSuchBucket")
    return new ReplError("unavailable", `${what}: the object store says that the bucket does not exist`);
  return new ReplError("unavailable", `${what}: the object store answers ${code}`);
}

/** To be asked after nothing was found. Throws `unavailable` unless the bucket shows its sentinel. */
export async function requireSentinel(store: Pick<FileStore, "getText">, soughtFor: string): Promise<void> {
  if (await store.getText(objectKey.registryHome)) return;
  throw new ReplError(
    "unavailable",
    `the bucket shows neither ${soughtFor} nor its sentinel (${objectKey.registryHome}): is the right bucket there?`,
  );
}

/** The same store, of which nothing is taken for absent without the sentinel. */
export function besideSentinel(store: Pick<FileStore, "getText" | "putText">): Pick<FileStore, "getText" | "putText"> {
  return {
    async getText(key, version) {
      const object = await store.getText(key, version);
      if (!object) await requireSentinel(store, key);
      return object;
    },
    putText: (...put) => store.putText(...put),
  };
}
