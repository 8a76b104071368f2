import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { errorOf, requireSentinel } from "../../domain/absence.ts";
import { ReplError } from "../../domain/errors.ts";
import { readPlace } from "../../domain/record-place.ts";
import { objectKey } from "../../domain/naming.ts";
import type { ObjectStore, PutCondition, StoredObject } from "../../domain/ports.ts";

interface Version extends StoredObject {
  readonly body: Buffer;
  /** Only of what was stored under it, as in S3. */
  readonly sha256?: string | undefined;
  readonly modifiedAt: Date;
  /** A delete marker hides what is below it. */
  readonly isMarker: boolean;
}

/** The same bucket as the keys of a session see it on AWS: they may not list it, so what is missing is forbidden. */
export function asSessionKeysSee(store: ObjectStore): ObjectStore {
  const shown = async <Answer>(key: string, answer: Promise<Answer | undefined>): Promise<Answer> => {
    const found = await answer;
    if (found === undefined) throw errorOf(`GET ${key}`, { status: 403, code: "AccessDenied", message: "" });
    return found;
  };
  return {
    ...store,
    getText: (key, version) => shown(key, store.getText(key, version)),
    getStream: (key, version) => shown(key, store.getStream(key, version)),
    head: (key, version) => shown(key, store.head(key, version)),
  };
}

/** A versioned bucket in memory, which has its sentinel unless it is new. `failWhen` makes calls that match throw. */
export function createFakeObjectStore({ isNew = false } = {}) {
  const objects = new Map<string, Version[]>();
  let counter = 0;
  let loss: ((operation: string, key: string) => boolean) | undefined;
  let failure: ((operation: string, key: string) => Error | undefined) | undefined;

  const current = (key: string): Version | undefined => {
    const newest = objects.get(key)?.at(-1);
    return newest?.isMarker ? undefined : newest;
  };
  const find = (key: string, version?: string) =>
    version
      ? objects.get(key)?.find((candidate) => candidate.version === version && !candidate.isMarker)
      : current(key);
  const check = (operation: string, key: string) => {
    const error = failure?.(operation, key);
    if (error) throw error;
  };

  function put(key: string, body: Buffer, condition?: PutCondition, sha256?: string): StoredObject {
    const existing = current(key);
    if (condition && "ifNoneMatch" in condition && existing) throw new ReplError("conflict", `${key} exists`);
    if (condition && "ifMatch" in condition && existing?.etag !== condition.ifMatch)
      throw new ReplError("conflict", `${key} has changed`);
    const stored = { etag: createHash("md5").update(body).digest("hex"), version: `v${++counter}` };
    objects.set(key, [
      ...(objects.get(key) ?? []),
      { ...stored, body, sha256, modifiedAt: new Date(), isMarker: false },
    ]);
    if (loss?.("put", key)) throw new ReplError("unavailable", `${key}: the answer was lost`);
    return stored;
  }

  const keysUnder = (prefix: string) =>
    [...objects.keys()].filter((key) => key.startsWith(prefix) && current(key)).sort();

  const store: ObjectStore = {
    async prepare() {},
    async putText(key, text, condition) {
      check("put", key);
      return put(key, Buffer.from(text), condition);
    },
    async putParts(key, parts) {
      const bytes: Buffer[] = [];
      for await (const part of parts) {
        if (createHash("sha256").update(part.bytes).digest("hex") !== part.sha256)
          throw new ReplError("unavailable", `${key}: checksum of a part differs`);
        bytes.push(Buffer.from(part.bytes));
      }
      check("put", key);
      return put(key, Buffer.concat(bytes));
    },
    async putFile(key, body, sha256) {
      check("put", key);
      const bytes = Buffer.from(body);
      if (createHash("sha256").update(bytes).digest("hex") !== sha256)
        throw new ReplError("unavailable", `${key}: checksum differs`);
      return put(key, bytes, undefined, sha256);
    },
    async getText(key, version) {
      check("get", key);
      const object = find(key, version);
      return object && { etag: object.etag, version: object.version, text: object.body.toString("utf8") };
    },
    async head(key, version) {
      check("head", key);
      const object = find(key, version);
      return (
        object && {
          etag: object.etag,
          version: object.version,
          sizeBytes: object.body.byteLength,
          ...(object.sha256 ? { sha256: object.sha256 } : {}),
        }
      );
    },
    async getStream(key, version) {
      check("get", key);
      const object = find(key, version);
      return object && Readable.from([object.body]);
    },
    async copy(fromKey, toKey, { version, sha256 } = {}) {
      check("copy", fromKey);
      const object = find(fromKey, version);
      if (!object) throw new ReplError("not_found", `${fromKey}: nothing there`);
      if (sha256 && createHash("sha256").update(object.body).digest("hex") !== sha256)
        throw new ReplError("unavailable", `copy ${fromKey}: checksum differs`);
      return put(toKey, object.body, undefined, object.sha256);
    },
    async list(prefix, { unproven = false } = {}) {
      check("list", prefix);
      const keys = keysUnder(prefix);
      if (keys.length === 0 && !unproven) await requireSentinel(store, prefix);
      return keys;
    },
    async folders(prefix) {
      const below = (await this.list(prefix)).map((key) => key.slice(prefix.length));
      return [...new Set(below.filter((key) => key.includes("/")).map((key) => `${prefix}${key.split("/")[0]}/`))];
    },
    async remove(keys) {
      for (const key of keys) {
        check("remove", key);
        if (current(key))
          objects.set(key, [
            ...(objects.get(key) ?? []),
            { etag: "", version: `v${++counter}`, body: Buffer.alloc(0), modifiedAt: new Date(), isMarker: true },
          ]);
      }
    },
    async getHead(key, bytes) {
      check("get", key);
      return current(key)?.body.subarray(0, bytes).toString("utf8");
    },
    async *listVersions(prefix) {
      check("list", prefix);
      const all = [...objects].flatMap(([key, versions]) =>
        key.startsWith(prefix)
          ? versions.map(({ version, modifiedAt, isMarker }) => ({ key, version, modifiedAt, isMarker }))
          : [],
      );
      if (all.length === 0) await requireSentinel(store, prefix);
      yield all;
    },
    async removeVersions(versions) {
      for (const { key, version } of versions) {
        check("remove", key);
        const kept = (objects.get(key) ?? []).filter((candidate) => candidate.version !== version);
        if (kept.length > 0) objects.set(key, kept);
        else objects.delete(key);
      }
    },
    async purge(prefix) {
      check("purge", prefix);
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix));
      if (keys.length === 0) await requireSentinel(store, prefix);
      for (const key of keys) objects.delete(key);
    },
    async check() {},
  };
  if (!isNew) put(objectKey.registryHome, Buffer.from("bucket"));
  return {
    store,
    /** Every key that holds anything, deleted ones with older versions included. */
    allKeys: () => [...objects.keys()].sort(),
    /** Those of a REPL, but for the tombstone that stands where its record was. */
    tracesOf: (replId: string) =>
      [...objects]
        .filter(([key, versions]) => key.includes(replId) && !versions.every(({ body }) => isTombstone(body)))
        .map(([key]) => key)
        .sort(),
    /** The call does its work, and its caller hears of a failure. */
    loseAnswerWhen(rule: typeof loss) {
      loss = rule;
    },
    /** Changes the stored bytes of all versions of keys that end so. */
    bend(end: string) {
      for (const [key, versions] of objects)
        if (key.endsWith(end))
          objects.set(
            key,
            versions.map((version) => ({ ...version, body: Buffer.alloc(version.body.byteLength) })),
          );
    },
    failWhen(rule: typeof failure) {
      failure = rule;
    },
  };
}

function isTombstone(body: Buffer): boolean {
  const text = body.toString("utf8");
  return text.startsWith('{"tombstones":') && readPlace(JSON.parse(text) as object).record === undefined;
}
