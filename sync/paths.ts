import { createHash } from "node:crypto";
import { objectKey } from "../domain/naming.ts";
import type { ReplId, User } from "../domain/repl.ts";
import { rawPrefix } from "../domain/save-paths.ts";

const maximumKeyBytes = 1024;
const maximumSegmentBytes = 255;

/** Names a path in a manifest. Linux allows any bytes but NUL and slash, JSON only text. */
export function encodePath(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) && !text.startsWith(rawPrefix)
    ? text
    : rawPrefix + bytes.toString("base64");
}

export function decodePath(path: string): Buffer {
  return path.startsWith(rawPrefix) ? Buffer.from(path.slice(rawPrefix.length), "base64") : Buffer.from(path, "utf8");
}

/**
 * Object key of a workspace file: plain where S3 can express the path, so that any S3 tool reads it, and
 * under the path's digest where it cannot.
 */
export function keyOfFile(owner: User, replId: ReplId, path: string): string {
  const key = objectKey.workspace(owner, replId) + path;
  return isPlain(path) && Buffer.byteLength(key) <= maximumKeyBytes ? key : oddKey(replId, path);
}

/** Where a file goes whose path the store cannot hold as it is. */
export function oddKey(replId: ReplId, path: string): string {
  return objectKey.oddFile(replId, createHash("sha256").update(path).digest("hex"));
}

function isPlain(path: string): boolean {
  // Control characters break listings in XML; servers on a file system store what is longer than a name elsewhere.
  if (path.startsWith(rawPrefix) || /[\u0000-\u001f\u007f\ufffe\uffff\\]/.test(path)) return false;
  return path.split("/").every((segment) => Buffer.byteLength(segment) <= maximumSegmentBytes - 16);
}
