import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { RateLimiterMemory, type RateLimiterRes } from "rate-limiter-flexible";
import { ReplError } from "../domain/errors.ts";

export interface RateLimitOptions {
  readonly perUser: number;
  readonly perAddress: number;
  /** How many proxies of ours stand before the API and add to X-Forwarded-For. */
  readonly trustedProxies: number;
}

const windowSeconds = 60;

export type RateLimits = ReturnType<typeof createRateLimits>;

/**
 * Requests a minute: of one user, and of one address for whoever is not signed in. Counted in this process,
 * so that counting costs no round trip and works without Redis; n processes let through up to n times as much.
 */
export function createRateLimits({ perUser, perAddress, trustedProxies }: RateLimitOptions) {
  const users = new RateLimiterMemory({ points: perUser, duration: windowSeconds });
  const addresses = new RateLimiterMemory({ points: perAddress, duration: windowSeconds });

  async function count(c: Context, limiter: RateLimiterMemory, key: string, what: string): Promise<void> {
    try {
      await limiter.consume(key);
    } catch (refusal) {
      const seconds = Math.max(1, Math.ceil((refusal as RateLimiterRes).msBeforeNext / 1000));
      c.header("Retry-After", String(seconds));
      throw new ReplError(
        "quota_exceeded",
        `Too many requests ${what}: at most ${limiter.points} in ${windowSeconds} s. Try again in ${seconds} s.`,
      );
    }
  }

  const countStranger = (c: Context) => count(c, addresses, clientAddress(c, trustedProxies), "from one address");

  return {
    countUser: (c: Context, userId: string) => count(c, users, userId, "of one user"),
    countStranger,
    /** Counts whoever cannot prove who they are, so that nobody guesses without end. */
    async admit<Proven>(c: Context, prove: () => Promise<Proven>): Promise<Proven> {
      try {
        return await prove();
      } catch (error) {
        await countStranger(c);
        throw error;
      }
    },
  };
}

/** The address a request came from, as far as our own proxies vouch for it. */
function clientAddress(c: Context, trustedProxies: number): string {
  const bindings = c.env as Partial<HttpBindings> | undefined;
  const peer = bindings?.incoming?.socket.remoteAddress ?? "unknown";
  if (trustedProxies === 0) return network(peer);
  const forwarded = (c.req.header("x-forwarded-for") ?? "").split(",").map((address) => address.trim());
  return network(forwarded.at(-trustedProxies) || peer);
}

/** Somebody with IPv6 has a whole network of addresses, so its first half counts as one. */
function network(address: string): string {
  if (!address.includes(":") || address.startsWith("::ffff:")) return address;
  return address.split(":").slice(0, 4).join(":");
}
