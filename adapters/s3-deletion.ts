import { createHash } from "node:crypto";
import { isAbsence } from "../domain/absence.ts";
import { ReplError } from "../domain/errors.ts";
import { elementsOf, escapeXml, requireDocument, textOf } from "./s3-answers.ts";
import type { S3Requests } from "./s3-requests.ts";

/** S3 removes at most this many in one request. */
const batchSize = 1000;

/** Hides the current versions of keys, and removes versions that are named. What is not there is removed. */
export async function deleteObjects(
  s3: S3Requests,
  objects: readonly { readonly key: string; readonly version?: string }[],
): Promise<void> {
  for (let start = 0; start < objects.length; start += batchSize) {
    const batch = objects.slice(start, start + batchSize);
    const named = batch.map(
      ({ key, version }) =>
        `<Object><Key>${escapeXml(key)}</Key>${version === undefined ? "" : `<VersionId>${escapeXml(version)}</VersionId>`}</Object>`,
    );
    const body = `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${named.join("")}</Delete>`;
    const digest = createHash("sha256").update(body).digest();
    const headers = { "content-type": "application/xml", "x-amz-checksum-sha256": digest.toString("base64") };
    const sha256 = digest.toString("hex");
    const request = { method: "POST", key: "", query: { delete: "" }, headers, body, sha256 } as const;
    const { text } = await s3.expect(request, 200);
    requireDocument("remove objects", text, "DeleteResult");
    // A store may tell once of what was named twice.
    requireAllRemoved(text, new Set(named).size);
  }
}

/** Each is asked for by its own, because an answer that names nothing has removed nothing that one could know of. */
function requireAllRemoved(text: string, asked: number): void {
  const errors = elementsOf(text, "Error").map((error) => ({
    key: textOf(error, "Key"),
    refusal: { status: 404, code: textOf(error, "Code") ?? "no code", message: textOf(error, "Message") ?? "" },
  }));
  const failed = errors.find(({ refusal }) => !isAbsence(refusal));
  if (failed)
    throw new ReplError("unavailable", `remove ${failed.key}: the object store answers ${failed.refusal.code}`);
  const answered = elementsOf(text, "Deleted").length + errors.length;
  if (answered < asked)
    throw new ReplError("unavailable", `remove: the object store tells of ${answered} of ${asked} objects`);
}
