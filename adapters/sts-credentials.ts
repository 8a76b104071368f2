import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { SignJWT } from "jose";
import { messageOf, ReplError } from "../domain/errors.ts";
import { objectKey } from "../domain/naming.ts";
import type { Credentials, SyncCredentials } from "../domain/ports.ts";
import type { ReplRecord } from "../domain/repl.ts";
import { textOf } from "./s3-answers.ts";

export interface StsOptions {
  readonly endpoint: string;
  /** The role whose rights are narrowed to one REPL. Its trust policy names the issuer and the audience. */
  readonly roleArn: string;
  /** An https address whose documents, made by {@link issuerDocuments}, the store can read. */
  readonly issuer: string;
  readonly audience: string;
  /** RSA, as PEM. */
  readonly signingKey: string;
  readonly bucket: string;
  /** How long the keys are good for, at most as long as the role allows. */
  readonly durationSeconds: number;
}

const algorithm = "RS256";
const tokenSeconds = 300;
const requestTimeoutMs = 10_000;

/**
 * Gives each session keys of its own, which open its REPL's objects and nothing else, and only for a while:
 * AssumeRoleWithWebIdentity with a token that we sign and a session policy. Throws `unavailable`.
 */
export function createStsCredentials(options: StsOptions): Credentials {
  const key = createPrivateKey(options.signingKey);
  const { keyId } = publicKeyOf(options.signingKey);

  const tokenFor = (repl: Pick<ReplRecord, "id">): Promise<string> =>
    new SignJWT({})
      .setProtectedHeader({ alg: algorithm, kid: keyId })
      .setIssuer(options.issuer)
      .setAudience(options.audience)
      .setSubject(`repl:${repl.id}`)
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + tokenSeconds)
      .sign(key);

  return {
    lifetimeSeconds: options.durationSeconds,
    async issue(repl): Promise<SyncCredentials> {
      const form = new URLSearchParams({
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        RoleArn: options.roleArn,
        RoleSessionName: repl.id,
        WebIdentityToken: await tokenFor(repl),
        DurationSeconds: String(options.durationSeconds),
        Policy: JSON.stringify(sessionPolicy(options.bucket, repl)),
      });
      const answer = await ask(options.endpoint, form);
      const [accessKey, secretKey, sessionToken] = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map((name) =>
        textOf(answer, name),
      );
      if (!accessKey || !secretKey || !sessionToken)
        throw new ReplError("unavailable", "The token service gave no keys.");
      return { accessKey, secretKey, sessionToken };
    },
  };
}

/** What the issuer's address must answer: `/.well-known/openid-configuration`, and the keys where that says. */
export function issuerDocuments({ issuer, signingKey }: Pick<StsOptions, "issuer" | "signingKey">) {
  const { jwk, keyId } = publicKeyOf(signingKey);
  const keysUrl = `${issuer}/.well-known/jwks.json`;
  return {
    configuration: {
      issuer,
      jwks_uri: keysUrl,
      response_types_supported: ["id_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: [algorithm],
    },
    keys: { keys: [{ ...jwk, kid: keyId, use: "sig", alg: algorithm }] },
  };
}

/** Everything that a restore and a save of this REPL touch, and no more. At most 2,048 characters. */
function sessionPolicy(bucket: string, repl: Pick<ReplRecord, "id" | "owner">): object {
  const arn = (key: string) => `arn:aws:s3:::${bucket}/${key}`;
  const prefixes = [
    objectKey.workspace(repl.owner, repl.id),
    objectKey.oddFiles(repl.id),
    objectKey.saves(repl.id),
    objectKey.rescued(repl.id),
  ];
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Action: ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
        Resource: [...prefixes.map((prefix) => `${arn(prefix)}*`), arn(objectKey.record(repl.owner.id, repl.id))],
      },
    ],
  };
}

async function ask(endpoint: string, form: URLSearchParams): Promise<string> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(endpoint, { method: "POST", body: form, signal: AbortSignal.timeout(requestTimeoutMs) });
    text = await response.text();
  } catch (error) {
    throw new ReplError("unavailable", `The token service does not answer (${messageOf(error)}).`, { cause: error });
  }
  if (!response.ok)
    throw new ReplError(
      "unavailable",
      `The token service refuses: ${textOf(text, "Code") ?? response.status} ${textOf(text, "Message") ?? ""}`.trim(),
    );
  return text;
}

function publicKeyOf(signingKey: string) {
  const jwk = createPublicKey(signingKey).export({ format: "jwk" });
  const keyId = createHash("sha256")
    .update(JSON.stringify([jwk.e, jwk.n]))
    .digest("base64url")
    .slice(0, 16);
  return { jwk, keyId };
}
