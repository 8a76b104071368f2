import type { IncomingMessage } from "node:http";
import { importJWK, jwtVerify } from "jose";

export const accessCookie = "devex_repl";

export interface AccessOptions {
  readonly replId: string;
  readonly userId: string;
  /** Public half of the API's signing key, as a JWK in JSON. */
  readonly publicKey: string;
  /** Pages that may open the editor's socket and the previews'. */
  readonly allowedOrigins: readonly string[];
}

const maximumSignatures = 2;
const maximumRemembered = 100;

/** Lets in who holds a token of the API for this REPL and its owner. */
export async function createAccess(options: AccessOptions) {
  const key = await importJWK(JSON.parse(options.publicKey) as Record<string, string>, "EdDSA");

  const expected = {
    issuer: "devex",
    audience: options.replId,
    subject: options.userId,
    algorithms: ["EdDSA"],
  };

  /** Tickets that were found good, and until when, in seconds: a page asks for a hundred files with the same one. */
  const goodUntil = new Map<string, number>();

  /** While the API's secret is replaced a ticket is signed twice, joined by "~"; one of the two is for us. */
  async function isValid(ticket: string | undefined): Promise<boolean> {
    if (!ticket) return false;
    if ((goodUntil.get(ticket) ?? 0) > Date.now() / 1000) return true;
    for (const token of ticket.split("~", maximumSignatures)) {
      const end = await jwtVerify(token, key, expected).then(
        ({ payload }) => payload.exp ?? 0,
        () => undefined,
      );
      if (end === undefined) continue;
      if (goodUntil.size >= maximumRemembered) goodUntil.clear();
      goodUntil.set(ticket, end);
      return true;
    }
    return false;
  }

  return {
    /** True when the request carries a good token, in the cookie or as `?ticket=`. */
    async admits(request: IncomingMessage, url: URL): Promise<boolean> {
      return (await isValid(cookies(request)[accessCookie])) || (await isValid(ticketOf(url)));
    },
    /**
     * True when the request carries a good token that no page can make a browser add: in `Authorization: Bearer` or
     * as `?ticket=`. Pages of other people's previews have our origin, and so the cookie.
     */
    async admitsByTicket(request: IncomingMessage, url: URL): Promise<boolean> {
      const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1];
      return (await isValid(bearer)) || (await isValid(ticketOf(url)));
    },
    /** A browser always says where a script's socket comes from; other clients say nothing. */
    admitsOrigin(request: IncomingMessage): boolean {
      const origin = request.headers.origin;
      return origin === undefined || options.allowedOrigins.includes(origin);
    },
    /** The ticket in the address, when it is good: the caller keeps it as the cookie. */
    async goodTicket(url: URL): Promise<string | undefined> {
      const ticket = ticketOf(url);
      return (await isValid(ticket)) ? ticket : undefined;
    },
  };
}

function ticketOf(url: URL): string | undefined {
  return url.searchParams.get("ticket") ?? undefined;
}

export function cookies(request: IncomingMessage): Record<string, string> {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="));
  return Object.fromEntries(pairs.map(([name = "", ...value]) => [name, value.join("=")]));
}

/** The user's own program never sees the token. */
export function withoutAccessCookie(header: string | undefined): string | undefined {
  const kept = (header ?? "")
    .split(";")
    .filter((pair) => pair.trim() !== "" && pair.trim().split("=")[0] !== accessCookie);
  return kept.length > 0 ? kept.map((pair) => pair.trim()).join("; ") : undefined;
}
