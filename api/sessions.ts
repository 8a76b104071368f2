import { jwtVerify, SignJWT } from "jose";
import { ReplError } from "../domain/errors.ts";

export interface SignedInUser {
  readonly id: string;
  readonly login: string;
  readonly name: string;
  readonly email: string;
  readonly avatarUrl: string;
  readonly createdAt: string;
}

export const sessionCookie = "devex_session";
export const sessionSeconds = 7 * 24 * 3600;

const issuer = "devex";
const audience = "devex-api";

export type Sessions = ReturnType<typeof createSessions>;

/** Signed sessions. A token says who somebody is; it is good for seven days. */
export function createSessions(secret: string) {
  const key = new TextEncoder().encode(secret);
  return {
    async issue(user: SignedInUser): Promise<{ token: string; expiresAt: string }> {
      const expires = Math.floor(Date.now() / 1000) + sessionSeconds;
      const { id, ...claims } = user;
      const token = await new SignJWT({ user: claims })
        .setProtectedHeader({ alg: "HS256" })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(id)
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(key);
      return { token, expiresAt: new Date(expires * 1000).toISOString() };
    },

    /** Throws `unauthorized` for anything but a token of ours that is still good. */
    async verify(token: string): Promise<{ user: SignedInUser; expiresAt: string }> {
      try {
        const { payload } = await jwtVerify(token, key, { issuer, audience, algorithms: ["HS256"] });
        return {
          user: { ...(payload["user"] as Omit<SignedInUser, "id">), id: payload.sub ?? "" },
          expiresAt: new Date((payload.exp ?? 0) * 1000).toISOString(),
        };
      } catch (error) {
        throw new ReplError("unauthorized", "Sign in first: the session is missing, expired or not ours.", {
          cause: error,
        });
      }
    },
  };
}
