import { describe, expect, it } from "vitest";
import { isRedisUrl, parseClusterUrl, parseSentinelUrl } from "../../../domain/redis-url.ts";

describe("parseSentinelUrl", () => {
  it("reads who is to be asked, for which master, and how to speak to that", () => {
    expect(parseSentinelUrl("rediss-sentinel://app:p%40ss@a.example:26380,b/main")).toEqual({
      sentinels: [
        { host: "a.example", port: 26_380 },
        { host: "b", port: 26_379 },
      ],
      master: "main",
      isEncrypted: true,
      username: "app",
      password: "p@ss",
    });
    expect(parseSentinelUrl("redis-sentinel://:p@a/m")).toEqual({
      sentinels: [{ host: "a", port: 26_379 }],
      master: "m",
      isEncrypted: false,
      password: "p",
    });
  });

  it.each([
    "redis-sentinel://a",
    "redis-sentinel:///main",
    "redis-sentinel://user@a/main",
    "redis-sentinel://a:port/main",
    "redis-sentinel://a,/main",
    "redis-sentinel://:%ff@a/main",
    "redis://a/0",
  ])("does not read %s", (url) => expect(parseSentinelUrl(url)).toBeUndefined());
});

describe("parseClusterUrl", () => {
  it("reads which nodes may be asked, and how to speak to all of them", () => {
    expect(parseClusterUrl("rediss-cluster://app:p%40ss@a.example:7000,b")).toEqual({
      nodes: [
        { host: "a.example", port: 7000 },
        { host: "b", port: 6379 },
      ],
      isEncrypted: true,
      username: "app",
      password: "p@ss",
    });
    expect(parseClusterUrl("redis-cluster://a")).toEqual({ nodes: [{ host: "a", port: 6379 }], isEncrypted: false });
  });

  it.each(["redis-cluster://", "redis-cluster://a/0", "redis-cluster://a,", "redis-sentinel://a/main", "redis://a"])(
    "does not read %s",
    (url) => expect(parseClusterUrl(url)).toBeUndefined(),
  );
});

it("a plain address is one server's", () => {
  for (const url of ["redis://r", "rediss://:p@r:6380/1"]) expect(isRedisUrl(url), url).toBe(true);
  for (const url of ["r:6379", "redis://a,b", "redis://", "http://r"]) expect(isRedisUrl(url), url).toBe(false);
});
