import { createHash, randomUUID } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { Readable } from "node:stream";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createS3ObjectStore } from "../../../adapters/s3-object-store.ts";
import { objectKey } from "../../../domain/naming.ts";
import { partBytes, type ListedVersion, type ObjectStore } from "../../../domain/ports.ts";
import { createObjectStoreRegistry } from "../../../domain/object-store-registry.ts";
import { describeObjectStore } from "../../contracts/object-store.ts";
import { refused, startS3Server, type Answer, type Lie } from "../../fakes/s3-server.ts";

type Server = Awaited<ReturnType<typeof startS3Server>>;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const bytes = Buffer.from("what was saved, and is long enough to be cut");
const parts = async function* () {
  for (const part of [Buffer.alloc(partBytes, "x"), bytes]) yield { bytes: part, sha256: sha256(part) };
};

async function serverForTest(): Promise<Server> {
  const server = await startS3Server();
  onTestFinished(() => server.stop());
  return server;
}

describe("the adapter for S3", () => {
  let server: Server;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server.stop());
  describeObjectStore(() => createS3ObjectStore(server.options));
});

/** Every call of the port, about an object that is there in two versions. */
const calls: Readonly<Record<string, (store: ObjectStore, key: string, version: string) => Promise<unknown>>> = {
  prepare: (store) => store.prepare(),
  check: (store) => store.check(),
  putText: (store, key) => store.putText(key, "text"),
  "putText where nothing is": (store, key) => store.putText(`${key}-new`, "text", { ifNoneMatch: true }),
  putFile: (store, key) => store.putFile(key, bytes, sha256(bytes)),
  putParts: (store, key) => store.putParts(key, parts()),
  getText: (store, key) => store.getText(key),
  "getText of a version": (store, key, version) => store.getText(key, version),
  head: (store, key) => store.head(key),
  "head of a version": (store, key, version) => store.head(key, version),
  getStream: async (store, key, version) => {
    const stream = await store.getStream(key, version);
    return stream && buffer(Readable.from(stream));
  },
  getHead: (store, key) => store.getHead(key, 4),
  copy: (store, key) => store.copy(key, `${key}-copy`),
  "copy of a version": (store, key, version) => store.copy(key, `${key}-copy`, { version, sha256: sha256(bytes) }),
  remove: (store, key) => store.remove([key, `${key}-never`]),
  list: (store, key) => store.list(key),
  folders: (store, key) => store.folders(key.replace(/[^/]*$/, "")),
  listVersions: async (store, key) => {
    const all: ListedVersion[] = [];
    for await (const page of store.listVersions(key)) all.push(...page);
    return all;
  },
  removeVersions: (store, key, version) => store.removeVersions([{ key, version }]),
  purge: (store, key) => store.purge(key),
};

const answer = (status: number, body: string): Lie => {
  const type = body.startsWith("<!") ? "text/html" : body.startsWith("<") ? "application/xml" : "text/plain";
  return () => ({ status, headers: { "content-type": type }, body });
};
const page = "<!DOCTYPE html><html><body><p>404 not found, version 1.1</p></body></html>";
/** Of the honest answer a part that is whole to HTTP. */
const half = (honest: Answer): Answer => ({ ...honest, body: honest.body.slice(0, honest.body.length / 2) });

const lies: Readonly<Record<string, Lie>> = {
  "404 with a page": answer(404, page),
  "404 in plain text": answer(404, "404 page not found"),
  "404 without a body": answer(404, ""),
  "404 with XML of somebody else": answer(404, "<NoSuchKey/>"),
  "404, no such bucket": () => refused(404, "NoSuchBucket"),
  "400 that speaks of versions": answer(400, "HTTP version not supported"),
  "403 with a page": answer(403, page),
  "409 with a page": answer(409, page),
  "412 with a page": answer(412, page),
  "301 with a page": answer(301, page),
  "200 without a body": answer(200, ""),
  "200 with a page": answer(200, page),
  "200 with XML of somebody else": answer(200, `<?xml version="1.0"?><ListAllMyBucketsResult/>`),
  "200 with an error": () => ({ ...refused(404, "NoSuchKey"), status: 200 }),
  "200 that breaks off": () => "break",
  "200 with half of the body": (honest) => (honest.status < 300 ? half(honest) : honest),
};

/** Whoever reads these compares what comes with the size and checksum that a save names. */
const judgedByTheReader = new Set(["getStream", "getHead"]);

const putsOrHeads = /^(put(Text|File)|head)/;

describe("the adapter for S3 where something answers wrongly", () => {
  const countRequests = async (name: string) => {
    const trial = await begin();
    let requests = 0;
    trial.server.lieWhen(() => void requests++);
    await calls[name]?.(trial.store, trial.key, trial.version);
    return requests;
  };

  async function begin() {
    const server = await serverForTest();
    const store = createS3ObjectStore(server.options);
    const key = `folder/${randomUUID()}/file`;
    const { version } = await store.putFile(key, bytes, sha256(bytes));
    await store.putFile(key, bytes, sha256(bytes));
    return { server, store, key, version };
  }

  /** From its request number `from` on. */
  async function outcomeOf(name: string, lie: Lie, from: number) {
    const { server, store, key, version } = await begin();
    let [asked, struck] = [0, 0];
    server.lieWhen(() => {
      if (++asked <= from) return undefined;
      return (honest) => {
        const sent = lie(honest);
        if (
          sent === "break" ||
          sent.headers["etag"] !== honest.headers["etag"] ||
          sent.body.length !== honest.body.length
        )
          struck++;
        return sent;
      };
    });
    const outcome = await calls[name]?.(store, key, version).then(
      (value) => `took it for ${JSON.stringify(value) ?? "nothing"}`,
      (error: { code?: string; message: string }) => error.code ?? error.message,
    );
    return { name, from, outcome, struck };
  }

  it.each(Object.entries(lies))("takes %s for nothing at all, in every call", async (what, lie) => {
    const outcomes = await Promise.all(
      Object.keys(calls).map(async (name) => {
        const cases = Array.from({ length: await countRequests(name) }, (_, from) => outcomeOf(name, lie, from));
        return Promise.all(cases);
      }),
    );
    const isHalf = what === "200 with half of the body";
    const struck = outcomes.flat().filter((each) => each.struck > 0 && !(isHalf && judgedByTheReader.has(each.name)));
    const names = [...new Set(struck.map(({ name }) => name))].sort();
    expect(names).toEqual(
      Object.keys(calls)
        .filter((name) => !isHalf || !(putsOrHeads.test(name) || judgedByTheReader.has(name)))
        .sort(),
    );
    const believed = struck.filter(({ outcome }) => outcome !== "unavailable");
    expect(believed).toEqual([]);
  });
});

describe("the adapter for S3 where nothing is", () => {
  let server: Server;
  let store: ObjectStore;
  const lists = ["list", "folders", "listVersions", "purge"] as const;
  beforeEach(async () => {
    server = await serverForTest();
    store = createS3ObjectStore(server.options);
    await store.putText("user/repl/file", "text");
  });

  it("says so beside the bucket's sentinel", async () => {
    for (const name of lists) expect((await calls[name]?.(store, "nobody/", "")) ?? []).toEqual([]);
    expect(await store.getText("user/never")).toBeUndefined();
  });

  it("believes no list of a bucket that has lost its sentinel with everything else", async () => {
    server.loseEverything();
    for (const name of lists)
      await expect(calls[name]?.(store, "user/", ""), name).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringContaining("is the right bucket there?") as string,
      });
    expect(await store.list("user/", { unproven: true })).toEqual([]);
  });

  it("believes no registry there that a REPL is gone", async () => {
    const registry = createObjectStoreRegistry(store);
    expect(await registry.read("user", "repl-x")).toBeUndefined();
    await expect(registry.update("user", "repl-x", (record) => record)).rejects.toMatchObject({ code: "not_found" });
    server.loseEverything();
    const refusal = { code: "unavailable", message: expect.stringContaining(objectKey.registryHome) as string };
    await expect(registry.read("user", "repl-x")).rejects.toMatchObject(refusal);
    await expect(registry.update("user", "repl-x", (record) => record)).rejects.toMatchObject(refusal);
    await expect(registry.list("user")).rejects.toMatchObject(refusal);
    await expect(registry.names()).rejects.toMatchObject(refusal);
    await expect(registry.deletions()).rejects.toMatchObject(refusal);
  });

  it("makes a bucket only on the store's own word that there is none, and only where one may be made", async () => {
    server.lieWhen(() => answer(404, page));
    await expect(store.prepare()).rejects.toMatchObject({ code: "unavailable" });
    server.lieWhen(undefined);
    server.loseBucket();
    await expect(store.prepare({ mayCreate: false })).rejects.toThrow("is its disk there?");
    expect(server.hasBucket()).toBe(false);
    await store.prepare();
    expect(server.hasBucket()).toBe(true);
  });

  it.each([
    [409, "ObjectParentIsFile", "conflict"],
    [400, "XMinioParentIsObject", "invalid"],
    [400, "KeyTooLongError", "invalid"],
    [400, "ExpiredToken", "unavailable"],
  ])("tells a key that it does not take (%i %s) from its own trouble", async (status, answered, code) => {
    server.lieWhen(() => () => refused(status, answered));
    await expect(store.putFile("user/repl/file/inside", bytes, sha256(bytes))).rejects.toMatchObject({ code });
  });

  it("takes no part of a list for the whole", async () => {
    const withoutNext: Lie = (honest) => ({
      ...honest,
      body: String(honest.body).replace("<IsTruncated>false", "<IsTruncated>true"),
    });
    server.lieWhen(() => withoutNext);
    for (const name of lists) await expect(calls[name]?.(store, "user/", ""), name).rejects.toThrow("has more");
  });

  it("takes no list of another prefix or bucket for its own", async () => {
    for (const [from, to] of [
      ["<Prefix>user/</Prefix>", "<Prefix></Prefix>"],
      ["<Name>devex</Name>", "<Name>other</Name>"],
    ] as const) {
      server.lieWhen(() => (honest) => ({ ...honest, body: String(honest.body).replace(from, to) }));
      for (const name of lists) await expect(calls[name]?.(store, "user/", ""), name).rejects.toThrow("answers about");
    }
  });
});
