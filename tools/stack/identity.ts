import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import aws4 from "aws4";
import { textOf } from "../../adapters/s3-answers.ts";
import { issuerDocuments } from "../../adapters/sts-credentials.ts";
import { serverBinary } from "./build-servers.ts";
import { run, runQuietly } from "./commands.ts";
import { startServer, waitUntil } from "./processes.ts";
import { portOf, type StackSettings } from "./settings.ts";
import { accepts } from "../accepts.ts";

/**
 * Who issues short-lived keys to sessions: the S3 server's own identity server, a role in it that opens the bucket,
 * and an issuer of tokens that it trusts. The identity server reads the issuer's documents over https, at port 443
 * and neither at a loopback nor at a private address; so each stack has one of the range for documentation.
 */

const audience = "devex";
const roleName = "devex-sync";
/**
 * The least that STS allows: the identity server reads all keys that are still good again at each request of a pod,
 * so that ninety of them make one take three milliseconds, and one 0.4.
 */
const keySeconds = 900;
/** AWS allows as much; a session asks for its keys again long before. */
const longestSeconds = 12 * 3600;
const issuerProgram = fileURLToPath(new URL("issuer.ts", import.meta.url));

/** What a client of the identity server needs to know. */
export function identityEnvironment(stack: StackSettings): Record<string, string> {
  if (!existsSync(file(stack, "role-arn"))) return {};
  return {
    STS_ROLE_ARN: readFileSync(file(stack, "role-arn"), "utf8"),
    STS_ISSUER: issuerOf(stack),
    STS_SIGNING_KEY_FILE: file(stack, "signing.pem"),
    STS_ENDPOINT: endpointOf(stack),
    STS_AUDIENCE: audience,
    STS_DURATION: String(keySeconds),
  };
}

/** The socket at which the S3 server asks whose a key is. */
export function identitySocket(stack: StackSettings): string {
  return file(stack, "identity.sock");
}

/** Starts the issuer and the identity server, and gives it the role. May be repeated. */
export async function startIdentity(stack: StackSettings, bucket: string): Promise<undefined> {
  mkdirSync(file(stack, "identities"), { recursive: true, mode: 0o700 });
  await startIssuer(stack);
  startServer(stack, {
    name: "s3-identity",
    command: serverBinary("s3"),
    args: [
      "--port",
      `${stack.gateway}:${portOf(stack, "s3Identity")}`,
      "--region",
      "us-east-1",
      "--quiet",
      "iam",
      "--dir",
      file(stack, "identities"),
      "--private-ports",
      identitySocket(stack),
    ],
    env: {
      ROOT_ACCESS_KEY: stack.s3AccessKey,
      ROOT_SECRET_KEY: stack.s3SecretKey,
      SSL_CERT_FILE: file(stack, "issuer.crt"),
    },
  });
  const answers = () => accepts(stack.gateway, portOf(stack, "s3Identity"));
  await waitUntil(stack, "the identity server", answers, { server: "s3-identity" });
  if (!existsSync(file(stack, "role-arn"))) writeFileSync(file(stack, "role-arn"), await createRole(stack, bucket));
  return undefined;
}

/** Removes what is not a process or a file of the stack's folder. */
export async function removeIdentity(stack: StackSettings): Promise<void> {
  await runQuietly("ip", ["addr", "del", `${addressOf(stack)}/32`, "dev", "lo"]);
}

async function startIssuer(stack: StackSettings): Promise<void> {
  const address = addressOf(stack);
  if (!existsSync(file(stack, "issuer.json"))) {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const signingKey = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
    writeFileSync(file(stack, "signing.pem"), signingKey, { mode: 0o600 });
    const subject = ["-subj", "/CN=devex-issuer", "-addext", `subjectAltName=IP:${address}`];
    const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const files = ["-keyout", file(stack, "issuer.key"), "-out", file(stack, "issuer.crt")];
    await run("openssl", ["req", "-x509", ...newKey, "-days", "3650", ...subject, ...files]);
    const documents = issuerDocuments({ issuer: issuerOf(stack), signingKey });
    writeFileSync(file(stack, "issuer.json"), JSON.stringify(documents));
  }
  await run("ip", ["addr", "replace", `${address}/32`, "dev", "lo"]);
  startServer(stack, {
    name: "s3-issuer",
    command: process.execPath,
    args: [issuerProgram, address, ...["issuer.key", "issuer.crt", "issuer.json"].map((name) => file(stack, name))],
  });
  await waitUntil(stack, "the issuer", () => accepts(address, 443), { server: "s3-issuer" });
}

/** The trust in our issuer, and a role that those may take who show a token of it. */
async function createRole(stack: StackSettings, bucket: string): Promise<string> {
  const host = new URL(issuerOf(stack)).host;
  const provider = await administer(stack, "CreateOpenIDConnectProvider", {
    Url: issuerOf(stack),
    "ClientIDList.member.1": audience,
  });
  const trust = {
    Effect: "Allow",
    Principal: { Federated: textOf(provider, "OpenIDConnectProviderArn") },
    Action: "sts:AssumeRoleWithWebIdentity",
    Condition: { StringEquals: { [`${host}:aud`]: audience } },
  };
  const role = await administer(stack, "CreateRole", {
    RoleName: roleName,
    AssumeRolePolicyDocument: policy(trust),
    MaxSessionDuration: String(longestSeconds),
  });
  const bucketArn = `arn:aws:s3:::${bucket}`;
  await administer(stack, "PutRolePolicy", {
    RoleName: roleName,
    PolicyName: "objects",
    PolicyDocument: policy({ Effect: "Allow", Action: "s3:*", Resource: [bucketArn, `${bucketArn}/*`] }),
  });
  return textOf(role, "Arn") ?? "";
}

async function administer(stack: StackSettings, action: string, parameters: Record<string, string>): Promise<string> {
  const body = new URLSearchParams({ Action: action, Version: "2010-05-08", ...parameters }).toString();
  const signed = aws4.sign(
    {
      host: new URL(endpointOf(stack)).host,
      method: "POST",
      path: "/",
      service: "iam",
      region: "us-east-1",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body,
    },
    { accessKeyId: stack.s3AccessKey, secretAccessKey: stack.s3SecretKey },
  );
  const headers = signed.headers as Record<string, string>;
  const response = await fetch(endpointOf(stack), { method: "POST", body, headers });
  const text = await response.text();
  if (!response.ok) throw new Error(`${action}: ${response.status} ${text}`);
  return text;
}

function policy(statement: object): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
}

/** One for each stack, as its subnet is. */
function addressOf(stack: StackSettings): string {
  return `198.51.100.${Number(stack.subnet.split(".")[2]) + 1}`;
}

function issuerOf(stack: StackSettings): string {
  return `https://${addressOf(stack)}`;
}

function endpointOf(stack: StackSettings): string {
  return `http://${stack.gateway}:${portOf(stack, "s3Identity")}`;
}

function file(stack: StackSettings, name: string): string {
  return join(stack.folder, "identity", name);
}
