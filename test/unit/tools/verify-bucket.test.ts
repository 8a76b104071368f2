import { execFile } from "node:child_process";
import { afterEach, expect, it, onTestFinished } from "vitest";
import { createS3ObjectStore } from "../../../adapters/s3-object-store.ts";
import { createObjectStoreRecords } from "../../../domain/object-store-registry.ts";
import { newRecord } from "../../fakes/records.ts";
import { startS3Server } from "../../fakes/s3-server.ts";
import { savedRepl } from "../../setup/saved-repl.ts";
import { removeFolders } from "../../setup/trees.ts";

afterEach(removeFolders);

it("reads every newest save of a bucket, and names what belongs to no record", async () => {
  const server = await startS3Server();
  onTestFinished(() => server.stop());
  const store = createS3ObjectStore(server.options);
  const [whole, broken] = [newRecord(), newRecord()];
  for (const record of [whole, broken]) {
    await createObjectStoreRecords(store).create(record);
    const repl = await savedRepl(store, { id: record.id, userId: record.owner.id });
    repl.write("src/file", record.id);
    await repl.save();
  }
  await store.purge(`${broken.owner.login}/${broken.id}/src/`);
  for (const key of ["octocat/repl-orphan/a", "octocat/repl-orphan/b", ".devex/saves/repl-unrecorded/1.json"])
    await store.putText(key, "left");
  await store.putText("backups/2026/dump", "not ours");

  const { endpoint, bucket, accessKey, secretKey } = server.options;
  const env = { S3_ENDPOINT: endpoint, S3_BUCKET: bucket, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey };
  const { code, lines } = await new Promise<{ code: unknown; lines: string[] }>((resolve) =>
    execFile(process.execPath, ["tools/verify-bucket.ts"], { env: { ...process.env, ...env } }, (error, out) =>
      resolve({ code: error?.code ?? 0, lines: out.trim().split("\n") }),
    ),
  );
  expect(lines).toEqual([
    expect.stringContaining(`✗ ${broken.id}, save 1`),
    "? repl-unrecorded: 1 objects, and no record",
    "? repl-orphan: 2 objects, and no record",
    "2 REPLs, 2 files in their newest saves, 1 saves that cannot be read whole; 2 REPLs without a record have left objects",
  ]);
  expect(code).toBe(1);
});
