import aws4 from "aws4";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createS3Signer } from "../../../adapters/s3-signer.ts";

const day = fc.date({ min: new Date("2020-01-01"), max: new Date("2040-01-01"), noInvalidDate: true });
const word = fc.stringMatching(/^[\w-]{1,20}$/);
const keys = fc.record(
  { accessKeyId: word, secretAccessKey: word, sessionToken: word },
  { requiredKeys: ["accessKeyId", "secretAccessKey"] },
);
const request = fc.record({
  method: fc.constantFrom("GET", "PUT"),
  host: fc.constant("store.example:9000"),
  path: fc.webPath().map((path) => `/${path}`),
  headers: fc.record({
    "x-amz-content-sha256": fc.constantFrom("e3b0c4", "UNSIGNED-PAYLOAD"),
    "x-amz-date": day.map((date) => date.toISOString().replace(/[:-]|\.\d{3}/g, "")),
  }),
});

describe("the signer of requests to S3", () => {
  it("signs as aws4 does, whatever was signed before: other keys, another day", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(request, keys), { minLength: 1, maxLength: 5 }), word, (all, region) => {
        const sign = createS3Signer(region);
        for (const [asked, by] of all) {
          const copy = () => ({ ...asked, headers: { ...asked.headers } });
          const expected = aws4.sign({ ...copy(), service: "s3", region }, by).headers;
          expect(sign(copy(), by)).toEqual(expected);
        }
      }),
    );
  });
});
