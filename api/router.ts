import type { Result, Router } from "hono/router";
import { TrieRouter } from "hono/router/trie-router";
import { LRUCache } from "lru-cache";

const pathsInMemory = 2000;
/** Longer ones are somebody's mischief, or files of a save: neither is asked for often. */
const longestInMemory = 120;

/**
 * Hono's router for paths of which one can be another's parameter (`session/{id}` and `{id}/saves`), and what it
 * found: to search again for each look-up costs a twentieth of it, and memory that outlives it.
 */
export function createRouter<Handler>(): Router<Handler> {
  const router = new TrieRouter<Handler>();
  const found = new LRUCache<string, Result<Handler>>({ max: pathsInMemory });
  return {
    name: "TrieRouter that remembers",
    add(method, path, handler) {
      found.clear();
      router.add(method, path, handler);
    },
    match(method, path) {
      if (path.length > longestInMemory) return router.match(method, path);
      const question = `${method} ${path}`;
      const known = found.get(question);
      if (known) return known;
      const result = router.match(method, path);
      found.set(question, result);
      return result;
    },
  };
}
