import { spawn, type ChildProcess } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import aws4 from "aws4";
import { textOf } from "../../adapters/s3-requests.ts";
import { issuerDocuments, type StsOptions } from "../../adapters/sts-credentials.ts";
import { serverBinary } from "../../tools/stack/build-servers.ts";
import { run, runQuietly } from "../../tools/stack/commands.ts";
import { freePort } from "../../tools/free-port.ts";
import { accepts } from "../../tools/stack/stores.ts";

/** Of the range for documentation: the identity server refuses issuers at loopback and private addresses. */
const issuerAddress = "198.51.100.213";
const audience = "devex";
const bucket = "devex";

/**
 * The S3 server with its own identity server beside it, as the stack's S3 server is but with short-lived keys:
 * an issuer of ours that it trusts, and a role that such keys can take.
 */
export async function startIdentityServer() {
  const folder = mkdtempSync(join(tmpdir(), "devex-identity-"));
  const root = { accessKey: `root${randomBytes(4).toString("hex")}`, secretKey: randomBytes(16).toString("hex") };
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const signingKey = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  const issuer = `https://${issuerAddress}`;
  const documents = issuerDocuments({ issuer, signingKey });

  await run("ip", ["addr", "replace", `${issuerAddress}/32`, "dev", "lo"]);
  const [key, certificate] = [join(folder, "issuer.key"), join(folder, "issuer.crt")];
  const subject = ["-subj", "/CN=devex-issuer", "-addext", `subjectAltName=IP:${issuerAddress}`];
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await run("openssl", ["req", "-x509", ...newKey, "-days", "2", ...subject, "-keyout", key, "-out", certificate]);
  const issuerServer = createServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    (request, response) => {
      const answer = request.url?.endsWith("jwks.json") ? documents.keys : documents.configuration;
      response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
    },
  );
  issuerServer.listen(443, issuerAddress);
  await once(issuerServer, "listening");

  const [identityPort, storePort] = [await freePort(), await freePort()];
  const socket = join(folder, "identity.sock");
  const folders = ["identity", "data", "versions"].map((name) => join(folder, name));
  for (const path of folders) mkdirSync(path);
  const [identityFolder = "", dataFolder = "", versionsFolder = ""] = folders;
  const environment = {
    PATH: process.env["PATH"],
    ROOT_ACCESS_KEY: root.accessKey,
    ROOT_SECRET_KEY: root.secretKey,
    SSL_CERT_FILE: certificate,
  };
  const start = (...args: string[]): ChildProcess =>
    spawn(serverBinary("s3"), ["--quiet", "--region", "us-east-1", ...args], { env: environment, stdio: "ignore" });
  const servers = [
    start("--port", `127.0.0.1:${identityPort}`, "iam", "--dir", identityFolder, "--private-ports", socket),
  ];
  await until(() => accepts("127.0.0.1", identityPort));
  servers.push(
    start(
      "--port",
      `127.0.0.1:${storePort}`,
      "--iam-standalone-endpoint",
      socket,
      "posix",
      "--versioning-dir",
      versionsFolder,
      dataFolder,
    ),
  );
  await until(() => accepts("127.0.0.1", storePort));

  const endpoint = `http://127.0.0.1:${identityPort}`;
  async function administer(action: string, parameters: Record<string, string>): Promise<string> {
    const body = new URLSearchParams({ Action: action, Version: "2010-05-08", ...parameters }).toString();
    const signed = aws4.sign(
      {
        host: `127.0.0.1:${identityPort}`,
        method: "POST",
        path: "/",
        service: "iam",
        region: "us-east-1",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body,
      },
      { accessKeyId: root.accessKey, secretAccessKey: root.secretKey },
    );
    const response = await fetch(endpoint, { method: "POST", body, headers: signed.headers as Record<string, string> });
    const text = await response.text();
    if (!response.ok) throw new Error(`${action}: ${response.status} ${text}`);
    return text;
  }
  const provider = await administer("CreateOpenIDConnectProvider", { Url: issuer, "ClientIDList.member.1": audience });
  const trust = {
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Federated: textOf(provider, "OpenIDConnectProviderArn") },
        Action: "sts:AssumeRoleWithWebIdentity",
        Condition: { StringEquals: { [`${issuerAddress}:aud`]: audience } },
      },
    ],
  };
  const role = await administer("CreateRole", {
    RoleName: "devex-sync",
    AssumeRolePolicyDocument: JSON.stringify(trust),
    MaxSessionDuration: "43200",
  });
  const rights = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "s3:*", Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`] }],
  };
  await administer("PutRolePolicy", {
    RoleName: "devex-sync",
    PolicyName: "objects",
    PolicyDocument: JSON.stringify(rights),
  });

  const sts: StsOptions = {
    endpoint,
    roleArn: textOf(role, "Arn") ?? "",
    issuer,
    audience,
    signingKey,
    bucket,
    durationSeconds: 3600,
  };
  return {
    sts,
    store: { endpoint: `http://127.0.0.1:${storePort}`, region: "us-east-1", bucket, ...root },
    async stop(): Promise<void> {
      for (const server of servers) server.kill("SIGKILL");
      issuerServer.close();
      await runQuietly("ip", ["addr", "del", `${issuerAddress}/32`, "dev", "lo"]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(50);
}
