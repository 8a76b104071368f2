import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { TokenCache } from "../../domain/ports.ts";

/** What remembers tokens, in memory and in Redis alike. */
export function describeTokenCache(make: () => TokenCache, makeOther = make): void {
  describe("TokenCache", () => {
    let cache: TokenCache;
    let other: TokenCache;
    beforeAll(() => {
      cache = make();
      other = makeOther();
    });

    it("knows within moments what another process has revoked", async () => {
      const token = randomUUID();
      await cache.note(token, "good", 60);
      for (let use = 0; use < 3; use++) expect(await cache.get(token)).toBe("good");
      await vi.waitFor(async () => expect([await cache.get(token), cache.isKnownGood(token)]).toEqual(["good", true]));
      await other.note(token, "revoked", 60);
      await vi.waitFor(async () => expect(await cache.get(token)).toBe("revoked"), { timeout: 1000, interval: 5 });
      expect(cache.isKnownGood(token)).toBe(false);
    });

    it("remembers what it was told, and nothing else", async () => {
      const [good, revoked] = [randomUUID(), randomUUID()];
      expect(await cache.get(good)).toBeUndefined();
      await cache.note(good, "good", 60);
      await cache.note(revoked, "revoked", 60);
      expect([await cache.get(good), await cache.get(revoked)]).toEqual(["good", "revoked"]);
      expect([revoked, randomUUID()].map(cache.isKnownGood)).toEqual([false, false]);
    });

    it("never makes good what was revoked, but the other way round", async () => {
      const token = randomUUID();
      await cache.note(token, "good", 60);
      await cache.note(token, "revoked", 60);
      await cache.note(token, "good", 60);
      expect(await cache.get(token)).toBe("revoked");
    });
  });
}

/** `comeBackOlder` has the server lost after `meanwhile`; it comes back with what it remembered before. */
export function describeOlderTokenCache(
  make: () => TokenCache,
  comeBackOlder: (meanwhile: () => Promise<void>) => Promise<void>,
): void {
  describe("TokenCache whose server comes back older", () => {
    it("takes no token for good that was revoked meanwhile, and one for good again that is noted again", async () => {
      const [revoked, good] = [randomUUID(), randomUUID()];
      const cache = make();
      for (const token of [revoked, good]) {
        await cache.note(token, "good", 60);
        expect(await cache.get(token)).toBe("good");
      }
      await comeBackOlder(() => cache.note(revoked, "revoked", 60));
      const other = make();
      expect([await other.get(revoked), await other.get(good)]).toEqual([undefined, undefined]);
      await other.note(good, "good", 60);
      expect(await other.get(good)).toBe("good");
    });
  });
}
