import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { issuerDocuments } from "../../adapters/sts-credentials.ts";

/** Serves the issuer's two documents, as the API does behind https in production: issuer.ts ADDRESS KEY CERTIFICATE DOCUMENTS */

const [address, ...files] = process.argv.slice(2);
const [key, cert, documents] = files.map((file) => readFileSync(file, "utf8"));
const { configuration, keys } = JSON.parse(documents ?? "") as ReturnType<typeof issuerDocuments>;
const answers: Readonly<Record<string, object>> = {
  "/.well-known/openid-configuration": configuration,
  "/.well-known/jwks.json": keys,
};

createServer({ key, cert }, (request, response) => {
  const answer = answers[request.url ?? ""];
  response.writeHead(answer ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(answer ?? {}));
}).listen(443, address);
