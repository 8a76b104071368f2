import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createS3FileStore } from "../../adapters/s3-file-store.ts";
import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { createStsCredentials } from "../../adapters/sts-credentials.ts";
import { objectKey } from "../../domain/naming.ts";
import type { ObjectStore } from "../../domain/ports.ts";
import { createObjectStoreRecords, createSavePlace } from "../../domain/object-store-registry.ts";
import { restoreWorkspace } from "../../sync/restore.ts";
import { saveWorkspace } from "../../sync/save.ts";
import { newRecord, newSession } from "../fakes/records.ts";
import { openStackBucket } from "../setup/stack-bucket.ts";
import { stackObjectStore, stackVariable } from "../setup/stack-variables.ts";
import { describeTree, newFolder, removeFolders } from "../setup/trees.ts";

const refused = { code: "unavailable", message: expect.stringContaining("refuses our keys") as string };

describe("short-lived keys of one REPL", () => {
  const options = stackObjectStore();
  const sts = {
    endpoint: stackVariable("STS_ENDPOINT"),
    roleArn: stackVariable("STS_ROLE_ARN"),
    issuer: stackVariable("STS_ISSUER"),
    audience: stackVariable("STS_AUDIENCE"),
    signingKey: readFileSync(stackVariable("STS_SIGNING_KEY_FILE"), "utf8"),
    bucket: options.bucket,
    durationSeconds: 3600,
  };
  const store: ObjectStore = createS3ObjectStore(options);
  beforeAll(() => openStackBucket());
  afterAll(removeFolders);
  /** A REPL, and the object store as its sync containers see it. */
  async function newRepl() {
    const record = newRecord();
    const session = newSession(record);
    await createObjectStoreRecords(store).create({ ...record, sessionId: session.id });
    const keys = await createStsCredentials(sts).issue(record);
    const { endpoint, region, bucket } = options;
    return { record, session, keys, files: createS3FileStore({ endpoint, region, bucket, ...keys }) };
  }

  it("are enough for saves and restores of it, files in parts and odd names too", async () => {
    const { session, files } = await newRepl();
    const [root, target] = [newFolder(), newFolder()];
    writeFileSync(join(root, "a"), "a");
    writeFileSync(join(root, "new\nline"), "odd");
    writeFileSync(join(root, "big"), Buffer.alloc(6 * 1024 * 1024, "x"));
    const known = newFolder();
    await saveWorkspace(createSavePlace(files), session, { root, knownFolder: known, pod: "pod", kind: "checkpoint" });
    writeFileSync(join(root, "a"), "b");
    await saveWorkspace(createSavePlace(files), session, { root, knownFolder: known, pod: "pod", kind: "close" });
    await restoreWorkspace(createSavePlace(files), session, { root: target, knownFolder: newFolder(), pod: "pod" });
    expect(describeTree(target)).toEqual(describeTree(root));
  });

  it("open nothing of anybody else, and nothing of ours", async () => {
    const [mine, other] = [await newRepl(), await newRepl()];
    const foreign = [
      objectKey.record(other.record.owner.id, other.record.id),
      `${objectKey.workspace(other.record.owner, other.record.id)}secret`,
      `${objectKey.workspace(mine.record.owner, `${mine.record.id}x`)}secret`,
      `${mine.record.owner.login}/other/secret`,
      objectKey.save(other.record.id, 1),
      `${objectKey.oddFiles(other.record.id)}x`,
      objectKey.revokedToken("token"),
      objectKey.templateManifest("node", "digest"),
    ];
    for (const key of foreign) {
      await store.putText(key, "secret");
      await expect(mine.files.getText(key), `read ${key}`).rejects.toMatchObject(refused);
      await expect(mine.files.putText(key, "mine"), `write ${key}`).rejects.toMatchObject(refused);
      await expect(
        mine.files.copy(key, `${objectKey.workspace(mine.record.owner, mine.record.id)}stolen`),
        `copy ${key}`,
      ).rejects.toMatchObject(refused);
      await mine.files.remove([key]).catch(() => {});
      expect((await store.getText(key))?.text, `remove ${key}`).toBe("secret");
    }
    const whole = createS3ObjectStore({ ...options, ...mine.keys });
    await expect(whole.list("")).rejects.toMatchObject(refused);
    await expect(whole.list(".devex/")).rejects.toMatchObject(refused);
    // Some of them mean something to others.
    for (const key of foreign) await store.purge(key);
  });

  it("cannot be had with a key that is not ours, or for another audience", async () => {
    const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const signingKey = stranger.export({ format: "pem", type: "pkcs8" }).toString();
    for (const wrong of [{ signingKey }, { audience: "somebody-else" }, { issuer: "https://198.51.100.254" }]) {
      const issuing = createStsCredentials({ ...sts, ...wrong }).issue(newRecord());
      await expect(issuing).rejects.toMatchObject({ code: "unavailable" });
    }
  });
});
