import { createHash } from "node:crypto";
import { GetObjectCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";

/**
 * Reads every REPL's newest save in a bucket, as docs/saves.md describes it, and checks each byte; then names what lies
 * there of REPLs that have no record. Changes nothing, and uses nothing else of this project.
 */

const env = (name: string) => process.env[name] ?? fail(`set ${name}; for the local stack: npm run stack -- env`);
const Bucket = env("S3_BUCKET");
const s3 = new S3Client({
  region: process.env["S3_REGION"] ?? "us-east-1",
  credentials: { accessKeyId: env("S3_ACCESS_KEY"), secretAccessKey: env("S3_SECRET_KEY") },
  ...(process.env["S3_ENDPOINT"] ? { endpoint: process.env["S3_ENDPOINT"], forcePathStyle: true } : {}),
});

function fail(text: string): never {
  console.error(text);
  process.exit(2);
}

async function read(Key: string, VersionId?: string): Promise<Uint8Array> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...(VersionId ? { VersionId } : {}) }));
  return (await Body?.transformToByteArray()) ?? new Uint8Array();
}

const json = async (key: string, version?: string) => JSON.parse(Buffer.from(await read(key, version)).toString());

async function* keys(Prefix: string): AsyncGenerator<string> {
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix }))
    for (const { Key = "" } of page.Contents ?? []) yield Key;
}

/** By the records; where those are in a database, by the manifest of the highest number. */
async function* newestSaves(): AsyncGenerator<{ id: string; lastSave?: { generation: number; version?: string } }> {
  for await (const key of keys(".devex/repls/")) yield await json(key);
  const where = await read(".devex/registry").catch(() => "");
  if (Buffer.from(where).toString() !== "postgres") return;
  const newest = new Map<string, number>();
  for await (const key of keys(".devex/saves/")) {
    const [, , id = "", file = ""] = key.split("/");
    newest.set(id, Math.max(newest.get(id) ?? 0, Number.parseInt(file, 10)));
  }
  for (const [id, generation] of newest) yield { id, lastSave: { generation } };
}

/** Which REPL an object is of, by its key; undefined for what is of none. */
function replOf(key: string): string | undefined {
  const [top = "", second = "", third = ""] = key.split("/");
  const id = top !== ".devex" ? second : ["odd", "saves", "rescued"].includes(second) ? third : "";
  return id.startsWith("repl-") ? id : undefined;
}

let [repls, files, bad] = [0, 0, 0];
const known = new Set<string>();
for await (const { id, lastSave } of newestSaves()) {
  // Where a record was removed its place may tell that.
  if (!id) continue;
  repls++;
  known.add(id);
  if (!lastSave) continue;
  try {
    const manifest = await json(`.devex/saves/${id}/${lastSave.generation}.json`, lastSave.version);
    for (const { type, path, key, version, sizeBytes, sha256 } of manifest.entries) {
      if (type !== "file") continue;
      files++;
      const bytes = await read(key, version);
      if (bytes.byteLength !== sizeBytes || createHash("sha256").update(bytes).digest("hex") !== sha256)
        throw new Error(`${path} is not what was saved`);
    }
  } catch (error) {
    bad++;
    console.log(`✗ ${id}, save ${lastSave.generation}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
for await (const key of keys(".devex/deletions/")) known.add(key.split("/").at(-1)?.replace(".json", "") ?? "");
const orphans = new Map<string, number>();
for await (const key of keys("")) {
  const id = replOf(key);
  if (id && !known.has(id)) orphans.set(id, (orphans.get(id) ?? 0) + 1);
}
for (const [id, objects] of orphans) console.log(`? ${id}: ${objects} objects, and no record`);
console.log(
  `${repls} REPLs, ${files} files in their newest saves, ${bad} saves that cannot be read whole; ` +
    `${orphans.size} REPLs without a record have left objects`,
);
process.exitCode = bad > 0 ? 1 : 0;
