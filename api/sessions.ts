import { createHash, randomUUID } from "node:crypto";
import { jwtVerify, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import { ReplError } from "../domain/errors.ts";
import type { Revocations } from "./revocations.ts";

export interface SignedInUser {
  /** GitHub's numeric id. */
  readonly id: string;
  readonly login: string;
  readonly name: string;
  readonly email: string;
  readonly avatarUrl: string;
  readonly createdAt: string;
}

export interface Session {
  readonly user: SignedInUser;
  readonly tokenId: string;
  /** Seconds since 1970. */
  readonly expires: number;
}

interface Verified {
  readonly token: string;
  readonly session: Session;
}

export const sessionCookie = "devex_session";
export const sessionSeconds = 7 * 24 * 3600;

const issuer = "devex";
const audience = "devex-api";
/** Tokens whose signature was checked once; each use still checks the time and the revocations. */
const tokensInMemory = 5000;

export type Sessions = ReturnType<typeof createSessions>;

/**
 * Signed sessions, good for seven days or until they are revoked. Of several secrets the first one signs and
 * each is accepted, so that a secret can be replaced while people are signed in.
 */
export function createSessions(secrets: readonly string[], revocations: Revocations) {
  const keys = new Map(secrets.map((secret) => [keyId(secret), new TextEncoder().encode(secret)]));
  const [[currentId, currentKey] = ["", new Uint8Array()]] = keys;
  const verified = new LRUCache<string, Verified>({ max: tokensInMemory });

  async function readToken(token: string): Promise<Session> {
    const key = (header: { kid?: string }) => keys.get(header.kid ?? "") ?? Promise.reject(new Error("unknown key"));
    const { payload } = await jwtVerify(token, key, {
      issuer,
      audience,
      algorithms: ["HS256"],
      requiredClaims: ["sub", "exp", "jti", "user"],
    });
    const { sub = "", jti = "", exp = 0 } = payload;
    const session = {
      user: { ...(payload["user"] as Omit<SignedInUser, "id">), id: sub },
      tokenId: jti,
      expires: exp,
    };
    verified.set(signatureOf(token), { token, session });
    return session;
  }

  function verifiedBefore(token: string): Session | undefined {
    const known = verified.get(signatureOf(token));
    return known?.token === token && known.session.expires > Date.now() / 1000 ? known.session : undefined;
  }

  return {
    async issue(user: SignedInUser): Promise<{ token: string; expiresAt: string }> {
      const expires = Math.floor(Date.now() / 1000) + sessionSeconds;
      const { id, ...claims } = user;
      const token = await new SignJWT({ user: claims })
        .setProtectedHeader({ alg: "HS256", kid: currentId })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(id)
        .setJti(randomUUID())
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(currentKey);
      return { token, expiresAt: expiryOf({ expires }) };
    },

    /** Checks signature and time, not yet whether it was revoked. Throws `unauthorized` for anything but a token of ours that is still good. */
    verify(token: string): Session | Promise<Session> {
      return verifiedBefore(token) ?? readToken(token).catch(notOurs);
    },

    /** A session of which nothing needs to be asked: it was checked before, and that it ended would have been heard. */
    known(token: string): Session | undefined {
      const session = verifiedBefore(token);
      return session && revocations.isKnownGood(session.tokenId) ? session : undefined;
    },

    /** Throws `unauthorized` when the session was ended by a logout, `unavailable` when nobody can tell. */
    async refuseRevoked({ tokenId }: Session): Promise<void> {
      if (await revocations.isRevoked(tokenId))
        throw new ReplError("unauthorized", "Sign in again: this session was ended by a logout.");
    },

    revoke: (session: Session): Promise<void> => revocations.revoke(session.tokenId, session.expires),
  };
}

/** As good a key as the whole token, of a tenth of its length. */
const signatureOf = (token: string): string => token.slice(token.lastIndexOf(".") + 1);

function notOurs(cause: unknown): never {
  throw new ReplError("unauthorized", "Sign in first: the session is missing, expired or not ours.", { cause });
}

export function expiryOf({ expires }: Pick<Session, "expires">): string {
  return new Date(expires * 1000).toISOString();
}

function keyId(secret: string): string {
  return createHash("sha256").update(`devex session key id\0${secret}`).digest("hex").slice(0, 8);
}
