import { messageOf, ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { ListedVersion, ObjectStore } from "./ports.ts";

/** What saves rest upon, named so that "it does not …" is a sentence. Each is proven below a prefix of its own. */
const abilities: Readonly<Record<string, (store: ObjectStore, prefix: string) => Promise<boolean>>> = {
  "keep each version of an object readable by its own name": async (store, prefix) => {
    const { key, older, newer } = await twoVersions(store, prefix);
    return (
      older.version !== newer.version &&
      ![older.version, newer.version].includes("null") &&
      (await store.getText(key, older.version))?.text === "older" &&
      (await store.getText(key))?.text === "newer"
    );
  },
  "refuse to create what is there already (PUT with If-None-Match: *), also of many at once": async (store, prefix) => {
    const create = (key: string) => store.putText(`${prefix}${key}`, "text", { ifNoneMatch: true });
    await create("one");
    return (await isConflict(create("one"))) && (await oneWins(() => create("many")));
  },
  "replace only the version that was read (PUT with If-Match), also of many at once": async (store, prefix) => {
    const { key, older, newer } = await twoVersions(store, prefix);
    const replace = (etag: string) => store.putText(key, "replaced", { ifMatch: etag });
    if (!(await isConflict(replace(older.etag)))) return false;
    if (!(await isConflict(replace(`"${"0".repeat(32)}"`)))) return false;
    if ((await store.getText(key))?.text !== "newer") return false;
    const { etag } = await store.putText(key, "even newer", { ifMatch: newer.etag });
    let writer = 0;
    return oneWins(() => store.putText(key, `writer ${writer++}`, { ifMatch: etag }));
  },
  "check the SHA-256 of what it is sent, and say it": async (store, prefix) => {
    await store.putFile(`${prefix}right`, bytesOfA, sha256OfA);
    const wrong = store.putFile(`${prefix}wrong`, bytesOfA, sha256OfB);
    return (await isRefused(wrong)) && (await store.head(`${prefix}right`))?.sha256 === sha256OfA;
  },
  "check the SHA-256 of objects that come in parts, and say it": async (store, prefix) => {
    const parts = async function* (sha256: string) {
      yield { bytes: bytesOfA, sha256 };
    };
    await store.putParts(`${prefix}right`, parts(sha256OfA));
    return isRefused(store.putParts(`${prefix}wrong`, parts(sha256OfB)));
  },
  "copy the very version that is asked for": async (store, prefix) => {
    const { key, older } = await twoVersions(store, prefix);
    const copied = await store.copy(key, `${prefix}copy`, { version: older.version });
    return (await store.getText(`${prefix}copy`, copied.version))?.text === "older";
  },
  "list what was just stored, with its versions": async (store, prefix) => {
    const { key, older, newer } = await twoVersions(store, prefix);
    const versions = await versionsBelow(store, prefix);
    return (
      (await store.list(prefix)).includes(key) &&
      (await store.folders(objectKey.trials)).includes(prefix) &&
      [older, newer].every(({ version }) => versions.some((listed) => listed.version === version))
    );
  },
  "hide what is deleted and keep its versions": async (store, prefix) => {
    const { key, older } = await twoVersions(store, prefix);
    await store.putText(`${prefix}kept`, "text");
    await store.remove([key]);
    return (
      (await store.getText(key)) === undefined &&
      !(await store.list(prefix)).includes(key) &&
      (await store.getText(key, older.version))?.text === "older"
    );
  },
  "remove the versions that it is told to, and no others": async (store, prefix) => {
    const { key, older, newer } = await twoVersions(store, prefix);
    await store.removeVersions([{ key, version: older.version }]);
    const left = (await versionsBelow(store, prefix)).map(({ version }) => version);
    return (
      (await store.getText(key, older.version)) === undefined &&
      (await store.getText(key, newer.version))?.text === "newer" &&
      left.length === 1 &&
      left[0] === newer.version
    );
  },
};

const bytesOfA = new TextEncoder().encode("a");
const sha256OfA = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
const sha256OfB = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d";
const writersAtOnce = 4;
/** What fails once may have failed for another reason. */
const tries = 2;

/**
 * What the store lacks, in words; undefined when nothing. Works below a key of its own, `.devex/trial/<id>/`, and
 * removes what it has made there. Throws `unavailable` when the store does not answer.
 */
export async function missingAbility(store: ObjectStore): Promise<string | undefined> {
  await store.check();
  for (const [ability, prove] of Object.entries(abilities)) {
    const lack = await lackOf(store, prove);
    if (lack !== undefined)
      return `This object store cannot be used, for it does not ${ability}${lack} (docs/deploy.md, "Object stores").`;
  }
  return undefined;
}

/** Undefined when it is proven; otherwise what was seen. */
async function lackOf(
  store: ObjectStore,
  prove: (store: ObjectStore, prefix: string) => Promise<boolean>,
): Promise<string | undefined> {
  let lack = "";
  for (let attempt = 1; attempt <= tries; attempt++) {
    const prefix = objectKey.trial(crypto.randomUUID());
    try {
      if (await prove(store, prefix)) return undefined;
      lack = "";
    } catch (error) {
      // One that is away lacks nothing.
      await store.check();
      lack = `: ${messageOf(error)}`;
    } finally {
      await store.purge(prefix).catch(() => {});
    }
  }
  return lack;
}

async function twoVersions(store: ObjectStore, prefix: string) {
  const key = `${prefix}object`;
  return { key, older: await store.putText(key, "older"), newer: await store.putText(key, "newer") };
}

async function versionsBelow(store: ObjectStore, prefix: string): Promise<ListedVersion[]> {
  const all: ListedVersion[] = [];
  for await (const page of store.listVersions(prefix)) all.push(...page);
  return all;
}

async function isConflict(call: Promise<unknown>): Promise<boolean> {
  return (await codeOf(call)) === "conflict";
}

async function isRefused(call: Promise<unknown>): Promise<boolean> {
  return (await codeOf(call)) !== undefined;
}

async function oneWins(write: () => Promise<unknown>): Promise<boolean> {
  const outcomes = await Promise.all(Array.from({ length: writersAtOnce }, () => codeOf(write())));
  return outcomes.filter((code) => code === undefined).length === 1 && outcomes.includes("conflict");
}

/** Undefined when it succeeds. */
async function codeOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof ReplError) return error.code;
    throw error;
  }
}
