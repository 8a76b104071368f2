import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root, outside, url, ticket } from "./running-runner.ts";

describe("the runner: files by HTTP", () => {
  const at = (path: string) => `${url}api/v1/files/${path}`;
  const bearer = (more: Record<string, string> = {}) => ({ authorization: `Bearer ${ticket}`, ...more });
  const put = (path: string, body: string | Buffer, more?: Record<string, string>) =>
    fetch(at(path), {
      method: "PUT",
      body: typeof body === "string" ? body : new Uint8Array(body),
      headers: bearer(more),
    });

  it("come and go whole, in parts, and of any kind", async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256));
    const stored = await put("new/folder/r%20%C3%A4.bin", bytes);
    expect([stored.status, (await put("new/folder/r%20%C3%A4.bin", bytes)).status]).toEqual([201, 204]);
    expect(readFileSync(join(root, "new/folder/r ä.bin")).equals(bytes)).toBe(true);
    const whole = await fetch(at("new/folder/r%20%C3%A4.bin"), { headers: bearer() });
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
    expect(whole.headers.get("content-disposition")).toBe("attachment");
    const part = await fetch(at("new/folder/r%20%C3%A4.bin"), { headers: bearer({ range: "bytes=1000-1009" }) });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 1000-1009/300000"]);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(1000, 1010))).toBe(true);
    writeFileSync(join(root, ".env"), "dot");
    expect(await (await fetch(`${at(".env")}?ticket=${ticket}`)).text()).toBe("dot");
  });
  it("are not stored over what somebody else has changed, nor where only a new file may be", async () => {
    writeFileSync(join(root, "a.txt"), "one", { mode: 0o755 });
    const tag = (await fetch(at("a.txt"), { headers: bearer() })).headers.get("etag") ?? "";
    expect((await put("a.txt", "two", { "if-match": tag })).status).toBe(204);
    expect((await put("a.txt", "three", { "if-match": tag })).status).toBe(412);
    expect((await put("a.txt", "three", { "if-none-match": "*" })).status).toBe(412);
    expect([readFileSync(join(root, "a.txt"), "utf8"), statSync(join(root, "a.txt")).mode & 0o777]).toEqual([
      "two",
      0o755,
    ]);
    expect((await put("b.txt", "new", { "if-none-match": "*" })).status).toBe(201);
    expect(readdirSync(root).sort()).toEqual(["a.txt", "b.txt"]);
  });
  it("change nothing when an upload breaks off", async () => {
    writeFileSync(join(root, "a.txt"), "whole");
    const over = new AbortController();
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.alloc(1000)),
    });
    const options = { method: "PUT", body, duplex: "half", signal: over.signal, headers: bearer() };
    const sending = fetch(at("a.txt"), options as RequestInit);
    await expect.poll(() => readdirSync(root)).toHaveLength(2);
    over.abort();
    await expect(sending).rejects.toThrow();
    await expect.poll(() => readdirSync(root)).toEqual(["a.txt"]);
    expect(readFileSync(join(root, "a.txt"), "utf8")).toBe("whole");
  });
  it("say what is wrong, and never leave the workspace", async () => {
    symlinkSync(outside, join(root, "out"));
    symlinkSync(join(outside, "new"), join(root, "dangling"));
    mkdirSync(join(root, "folder"));
    writeFileSync(join(outside, "secret"), "secret");
    const get = async (path: string) => (await fetch(at(path), { headers: bearer() })).status;
    expect(await get("out/secret")).toBe(400);
    expect(await get("..%2f..%2fetc%2fpasswd")).toBe(404);
    expect(await get("absent")).toBe(404);
    expect(await get("folder")).toBe(400);
    expect(await get("%zz")).toBe(400);
    expect((await put("out/new", "x")).status).toBe(400);
    expect((await put("dangling", "x")).status).toBeGreaterThanOrEqual(400);
    expect((await put("folder", "x")).status).toBe(400);
    expect((await put("", "x")).status).toBe(400);
    expect(existsSync(join(outside, "new"))).toBe(false);
    expect((await fetch(at("a"), { method: "DELETE", headers: bearer() })).status).toBe(405);
  });
  it("need the ticket itself: the cookie comes from every page of this origin", async () => {
    writeFileSync(join(root, "a.txt"), "mine");
    const withCookie = await fetch(at("a.txt"), { headers: { cookie: `devex_repl=${ticket}` } });
    expect(withCookie.status).toBe(401);
    const foreign = { origin: "http://evil.example" };
    expect((await fetch(at("a.txt"), { headers: bearer(foreign) })).status).toBe(403);
    const front = await fetch(at("a.txt"), { headers: bearer({ origin: "http://front.example" }) });
    expect(front.headers.get("access-control-allow-origin")).toBe("http://front.example");
    const asked = await fetch(at("a.txt"), { method: "OPTIONS", headers: { origin: "http://front.example" } });
    expect([asked.status, asked.headers.get("access-control-allow-methods")]).toEqual([204, "GET, HEAD, PUT"]);
  });
});
