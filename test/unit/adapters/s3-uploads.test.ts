import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { createS3Uploads } from "../../../adapters/s3-uploads.ts";
import { objectKey } from "../../../domain/naming.ts";

/** A store that lists uploads one a page, and says what it was asked to end. */
async function uploadsOn(all: readonly { key: string; id: string; since: string }[], ended: readonly string[] = []) {
  const aborted: string[] = [];
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://store");
    const answer = (status: number, body = "") =>
      response.writeHead(status, { "content-type": "application/xml" }).end(body);
    if (request.method === "DELETE") {
      const id = searchParams.get("uploadId") ?? "";
      aborted.push(`${decodeURIComponent(pathname).slice("/bucket/".length)} ${id}`);
      return ended.includes(id)
        ? answer(404, "<Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>")
        : answer(204);
    }
    const at = all.findIndex(({ id }) => id === searchParams.get("upload-id-marker")) + 1;
    const upload = all[at];
    return answer(
      200,
      `<ListMultipartUploadsResult><Bucket>bucket</Bucket><IsTruncated>${at + 1 < all.length}</IsTruncated>` +
        (upload
          ? `<NextKeyMarker>${upload.key}</NextKeyMarker><NextUploadIdMarker>${upload.id}</NextUploadIdMarker>` +
            `<Upload><Key>${upload.key}</Key><UploadId>${upload.id}</UploadId><Initiated>${upload.since}</Initiated></Upload>`
          : "") +
        "</ListMultipartUploadsResult>",
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const uploads = createS3Uploads({ endpoint, region: "r", bucket: "bucket", accessKey: "a", secretKey: "s" });
  return { uploads, aborted };
}

describe("uploads in parts", () => {
  const before = new Date("2026-01-02T00:00:00Z");
  const [old, young] = ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:01.000Z"];

  it("ends those of ours that are old, on all pages, also one that has ended meanwhile", async () => {
    const { uploads, aborted } = await uploadsOn(
      [
        { key: "ada/repl-one/big", id: "1", since: old },
        { key: "ada/repl-one/big", id: "2", since: young },
        { key: "backups/2026/big", id: "3", since: old },
        { key: ".devex/odd/repl-one/big", id: "4", since: old },
      ],
      ["1"],
    );
    expect(await uploads.abort(objectKey.isOurs, before)).toBe(2);
    expect(aborted).toEqual(["ada/repl-one/big 1", ".devex/odd/repl-one/big 4"]);
  });

  it("has nothing to do where there are none", async () => {
    const { uploads } = await uploadsOn([]);
    expect(await uploads.abort(objectKey.isOurs, before)).toBe(0);
  });
});
