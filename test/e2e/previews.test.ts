import { chromium, type Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { newPerson, openEditor, shell } from "./flow.ts";

const patience = { timeout: 30_000, interval: 200 };

/** A program as most are: it takes itself for the only one at its address. */
const program = `
require("http").createServer((request, response) => {
  if (request.url === "/app.js") return response.end('new EventSource("/events").onmessage = ({ data }) => (document.title = data)');
  if (request.url === "/events") return response.writeHead(200, { "content-type": "text/event-stream" }).write("data: live\\n\\n");
  if (request.url === "/") return response.writeHead(302, { location: "/home", "set-cookie": "visits=1; Path=/" }).end();
  response.setHeader("content-type", "text/html");
  response.end('<h1>' + request.headers.cookie + '</h1><script src="/app.js"></script>');
}).listen(3000);
`;

describe("a preview at a host of its own, in a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  });
  afterAll(() => browser.close());

  it("shows a program with absolute paths, to its owner alone until its port is shared", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Previews");
    const { previews, ticket } = await api.open(id);
    const [preview] = previews;
    expect(preview).toMatchObject({ port: 3000, url: expect.stringContaining(`//3000-${id}.`) as string });
    const url = preview?.url ?? "";
    const editor = await openEditor(api, id);
    await shell(
      editor,
      `echo ${Buffer.from(program).toString("base64")} | base64 -d > p.cjs; (node p.cjs > /dev/null 2>&1 &)`,
    );

    const owner = await (await browser.newContext()).newPage();
    await vi.waitFor(async () => {
      const answer = await owner.goto(`${url}?ticket=${ticket}`);
      expect(answer?.status()).toBe(200);
    }, patience);
    expect(owner.url()).toBe(`${url}home`);
    await expect.poll(() => owner.title(), patience).toBe("live");
    // The program hears of its own cookie and not of ours.
    expect(await owner.textContent("h1")).toBe("visits=1");

    const stranger = await (await browser.newContext()).newPage();
    expect((await stranger.goto(url))?.status()).toBe(401);
    await editor.ask("sharePort", { port: 3000, isPublic: true });
    expect((await stranger.goto(url))?.status()).toBe(200);
    await expect.poll(() => stranger.title(), patience).toBe("live");

    // One REPL's page sees nothing of another's.
    const other = await api.create("node", "Other");
    const elsewhere = await api.open(other.id);
    await owner.goto(`${elsewhere.previews[0]?.url}?ticket=${elsewhere.ticket}`);
    expect(await owner.evaluate("document.cookie")).toBe("");
    await api.remove(id);
    await api.remove(other.id);
  });
});
