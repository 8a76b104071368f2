import { createHash, randomBytes } from "node:crypto";
import type { User } from "../domain/repl.ts";

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
const length = 16;

export function newReplId(): string {
  return `repl-${label(randomBytes(length))}`;
}

export function newSessionId(): string {
  return label(randomBytes(length));
}

/** The same key of the same user names the same REPL: repeating a create finds what the first one made. */
export function replIdFor(owner: User, idempotencyKey: string): string {
  return `repl-${label(createHash("sha256").update(`${owner.id}\0${idempotencyKey}`).digest().subarray(0, length))}`;
}

function label(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => alphabet[byte % alphabet.length]).join("");
}
