import { createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";
import { exportJWK, SignJWT } from "jose";

/** What precedes the 32 bytes of an Ed25519 key in its PKCS #8 form (RFC 8410). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

export type Tickets = Awaited<ReturnType<typeof createTickets>>;

/**
 * Tickets open one REPL for its owner. They are signed with a key made from the session secret; runners get
 * only its public half, so nothing in a pod can make one.
 */
export async function createTickets(secret: string, lifetimeSeconds: number) {
  const seed = Buffer.from(hkdfSync("sha256", secret, "", "devex runner tickets", 32));
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: "der", type: "pkcs8" });
  const publicKey = JSON.stringify(await exportJWK(createPublicKey(privateKey)));
  return {
    publicKey,
    lifetimeSeconds,
    issue: (replId: string, userId: string): Promise<string> =>
      new SignJWT()
        .setProtectedHeader({ alg: "EdDSA" })
        .setIssuer("devex")
        .setAudience(replId)
        .setSubject(userId)
        .setIssuedAt()
        .setExpirationTime(`${lifetimeSeconds}s`)
        .sign(privateKey),
  };
}
