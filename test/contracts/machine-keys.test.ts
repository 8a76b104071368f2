import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";
import { describeObjectStore } from "./object-store.ts";

const variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/** What a machine of AWS has beside it: a server that gives the keys of its role for a while. */
describe("with the keys of the machine's role", () => {
  const { accessKey, secretKey, ...place } = stackObjectStore();
  let server: Server;
  let asked = 0;

  beforeAll(async () => {
    server = createServer((_, response) => {
      asked++;
      const Expiration = new Date(Date.now() + 3600_000).toISOString();
      // The SDK wants a token; the stack's own keys have none.
      response.end(JSON.stringify({ AccessKeyId: accessKey, SecretAccessKey: secretKey, Token: "", Expiration }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    process.env[variable] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => {
    delete process.env[variable];
    server.close();
  });

  describeObjectStore(() => createS3ObjectStore(place));

  it("asks for them once and not for each request", async () => {
    asked = 0;
    const store = createS3ObjectStore(place);
    await store.check();
    for (const key of ["one", "two"]) await store.getText(`.devex/none/${key}`);
    expect(asked).toBe(1);
  });
});
