import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createS3ObjectStore } from "../../../adapters/s3-object-store.ts";
import { partBytes, type ObjectStore } from "../../../domain/ports.ts";
import { startS3Server, type Answer } from "../../fakes/s3-server.ts";

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
const hexOf = (bytes: Uint8Array) => digestOf(bytes).toString("hex");
const [first, last] = [Buffer.alloc(partBytes, "x"), Buffer.from("the end")];
const whole = Buffer.concat([first, last]);
const checksum = "x-amz-checksum-sha256";
const other = digestOf(Buffer.from("other bytes")).toString("base64");

const parts = async function* () {
  for (const bytes of [first, last]) yield { bytes, sha256: hexOf(bytes) };
};
const claims =
  (value: string | undefined) =>
  ({ headers, ...answer }: Answer): Answer => {
    const { [checksum]: _, ...rest } = headers;
    return { ...answer, headers: value === undefined ? rest : { ...rest, [checksum]: value } };
  };
const claimsInBody = (value: string | undefined) => (answer: Answer) => ({
  ...answer,
  body: String(answer.body).replace(
    /<ChecksumSHA256>.*<\/ChecksumSHA256>/,
    value === undefined ? "" : `<ChecksumSHA256>${value}</ChecksumSHA256>`,
  ),
});

describe("what the store says it has kept", () => {
  let server: Awaited<ReturnType<typeof startS3Server>>;
  let store: ObjectStore;
  let struck: number;
  beforeEach(async () => {
    server = await startS3Server();
    onTestFinished(() => server.stop());
    store = createS3ObjectStore(server.options);
    struck = 0;
  });
  /** Answers to requests of that kind are changed so. */
  const change = (rules: Readonly<Record<string, (answer: Answer) => Answer>>) =>
    server.lieWhen(({ method, key, query, headers }) => {
      const kind = query.has("partNumber")
        ? "part"
        : query.has("uploadId")
          ? "complete"
          : headers["x-amz-copy-source"] === undefined
            ? `${method} ${key}`
            : "copy";
      const rule = rules[kind];
      if (rule) struck++;
      return rule;
    });
  const refuses = async (call: Promise<unknown>) => {
    await expect(call).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("checksum") as string,
    });
    expect(struck).toBeGreaterThan(0);
  };

  it.each([
    ["another", other],
    ["none", undefined],
  ])("is asked of each part: with %s nothing is saved, and no part is left", async (_, claim) => {
    change({ part: claims(claim) });
    await refuses(store.putParts("big", parts()));
    expect(server.uploadsUnderWay()).toBe(0);
    server.lieWhen(undefined);
    expect(await store.head("big")).toBeUndefined();
  });

  it("is asked of the parts together, where the store says it, and by a HEAD where not", async () => {
    const { version } = await store.putParts("big", parts());
    expect(await store.head("big", version)).toMatchObject({ version, sizeBytes: whole.byteLength });
    change({ complete: claimsInBody(undefined) });
    await store.putParts("big", parts());
    expect(struck).toBe(1);
  });

  it.each([
    ["another", other],
    ["another of parts", `${other}-2`],
    ["that of the same bytes in one part", compositeOf([whole])],
  ])("is refused of the parts together when it is %s", async (_, claim) => {
    change({ complete: claimsInBody(claim) });
    await refuses(store.putParts("big", parts()));
  });

  it.each([
    ["another", `${other}-2`],
    ["none", undefined],
  ])("is refused of the parts together when the answer is silent, and a HEAD says %s", async (_, claim) => {
    change({ complete: claimsInBody(undefined), "HEAD big": claims(claim) });
    await refuses(store.putParts("big", parts()));
  });

  it("is compared for a copy with that of the whole, or with its source's parts and size", async () => {
    const { version } = await store.putParts("big", parts());
    server.keepPartsInCopies();
    const copied = await store.copy("big", "copy", { version, sha256: hexOf(whole) });
    expect(await store.head("copy", copied.version)).toMatchObject({ sizeBytes: whole.byteLength });
    for (const rules of [
      { "HEAD copy": claims(`${other}-2`) },
      { "HEAD copy": claims(undefined) },
      { "HEAD big": claims(undefined) },
      { "HEAD copy": (answer: Answer) => ({ ...answer, headers: { ...answer.headers, "content-length": "7" } }) },
    ]) {
      struck = 0;
      change(rules);
      await refuses(store.copy("big", "copy", { version, sha256: hexOf(whole) }));
    }
  });

  it("is compared for a text, where the store says it", async () => {
    change({ "PUT text": claims(other) });
    await refuses(store.putText("text", "text"));
    change({ "PUT text": claims(undefined) });
    await store.putText("text", "text");
  });

  it("is compared with what comes when a text is read", async () => {
    await store.putText("text", "as it was kept");
    change({ "GET text": (answer) => ({ ...answer, body: "as it was bent" }) });
    await expect(store.getText("text")).rejects.toMatchObject({ code: "unavailable" });
    expect(struck).toBe(1);
  });
});

function compositeOf(all: readonly Buffer[]): string {
  return `${digestOf(Buffer.concat(all.map(digestOf))).toString("base64")}-${all.length}`;
}
