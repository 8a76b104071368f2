import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from "node:crypto";
import { exportJWK, SignJWT } from "jose";

/** What precedes the 32 bytes of an Ed25519 key in its PKCS #8 form (RFC 8410). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

export type Tickets = Awaited<ReturnType<typeof createTickets>>;

/**
 * Tickets open one REPL for its owner. They are signed with keys made from the session secrets; runners get
 * only the newest one's public half, so nothing in a pod can make one. While a secret is being replaced a ticket is
 * signed with each, joined by "~": the runner of a pod that started before knows the older one.
 */
export async function createTickets(secrets: readonly string[], lifetimeSeconds: number) {
  const privateKeys = secrets.map(privateKeyFrom);
  const publicKey = JSON.stringify(await exportJWK(createPublicKey(privateKeys[0] as KeyObject)));

  const sign = (replId: string, userId: string, key: KeyObject) =>
    new SignJWT()
      .setProtectedHeader({ alg: "EdDSA" })
      .setIssuer("devex")
      .setAudience(replId)
      .setSubject(userId)
      .setIssuedAt()
      .setExpirationTime(`${lifetimeSeconds}s`)
      .sign(key);

  return {
    publicKey,
    lifetimeSeconds,
    async issue(replId: string, userId: string): Promise<string> {
      return (await Promise.all(privateKeys.map((key) => sign(replId, userId, key)))).join("~");
    },
  };
}

function privateKeyFrom(secret: string): KeyObject {
  const seed = Buffer.from(hkdfSync("sha256", secret, "", "devex runner tickets", 32));
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: "der", type: "pkcs8" });
}
