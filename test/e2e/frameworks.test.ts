import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { Person } from "../../tools/api-client.ts";
import { newPerson, openEditor, shell } from "./flow.ts";

/** Programs as their makers' first pages have them, installed from npm and PyPI. */
const sources = fileURLToPath(new URL("frameworks", import.meta.url));
const swagger = fileURLToPath(new URL(".", import.meta.resolve("swagger-ui-dist/package.json")));
const screenshots = process.env["DEVEX_SCREENSHOTS"];
const minutes = 60_000;
const patience = { timeout: 1.5 * minutes, interval: 250 };

describe("what people build with, in a browser", { timeout: 3 * minutes }, () => {
  let api: Person;
  let browser: Browser;
  let editor: Awaited<ReturnType<typeof openEditor>>;
  let previews: Awaited<ReturnType<Person["open"]>>["previews"];

  beforeAll(async () => {
    api = await newPerson();
    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
    const { id } = await api.create("frameworks", "Frameworks");
    ({ previews } = await api.open(id));
    editor = await openEditor(api, id);
    for (const file of readdirSync(sources, { recursive: true, withFileTypes: true }))
      if (file.isFile()) await write(join(file.parentPath, file.name).slice(sources.length + 1));
    await finish("npm install --no-audit --no-fund");
    await finish("python3 -m venv .venv && .venv/bin/pip install --quiet --requirement requirements.txt");
    return async () => {
      await browser.close();
      await api.remove(id);
    };
  }, 4 * minutes);

  /** Stores a file, from the sources when no other content is given. */
  async function write(path: string, content: string | Buffer = readFileSync(join(sources, path))): Promise<void> {
    const headers = { authorization: `Bearer ${editor.ticket}` };
    const response = await fetch(`${editor.url}api/v1/files/${path}`, { method: "PUT", headers, body: content });
    expect(response.ok, `${path}: ${response.status}`).toBe(true);
  }

  /** Runs a command to its end, however long it takes. */
  async function finish(command: string): Promise<void> {
    await shell(editor, `( { { ${command}; } > /tmp/output 2>&1; echo $? > /tmp/ended; } & )`);
    const isOver = async () => (await shell(editor, "cat /tmp/ended 2>/dev/null; true")) !== "";
    await vi.waitUntil(isOver, { ...patience, timeout: 3 * minutes });
    expect(await shell(editor, "cat /tmp/ended; rm /tmp/ended; tail -n 20 /tmp/output"), command).toMatch(/^0/);
  }

  /** Starts a program and opens its preview as its owner. */
  async function preview(port: number, command: string, path = ""): Promise<Page> {
    await shell(editor, `(${command} > /tmp/${port} 2>&1 &)`);
    const page = await browser.newPage();
    const url = previews.find((known) => known.port === port)?.url;
    const status = async () => {
      const answer = await page.goto(`${url}${path}?ticket=${editor.ticket}`).catch(() => null);
      return answer?.status() === 200 ? "shown" : shell(editor, `tail -n 20 /tmp/${port}`);
    };
    await expect.poll(status, patience).toBe("shown");
    return page;
  }

  const heading = (page: Page) => page.locator("h1").first().textContent();
  async function ends(page: Page, name: string): Promise<void> {
    if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`) });
    await page.close();
  }

  it("Vite, whose page changes with its file and is not loaded again", async () => {
    const page = await preview(3001, "npx vite vite --port 3001");
    await expect.poll(() => heading(page), patience).toBe("Hello from Vite");
    await page.evaluate("window.isSame = true");
    await write("vite/message.js", 'export const message = "Changed";\n');
    await expect.poll(() => heading(page), patience).toBe("Changed");
    expect(await page.evaluate("window.isSame")).toBe(true);
    await ends(page, "vite");
  });

  it("Next.js in development, whose page changes and keeps its state", async () => {
    const page = await preview(3002, "NEXT_TELEMETRY_DISABLED=1 npx next dev next --port 3002");
    await expect.poll(() => heading(page), patience).toBe("Hello from Next.js");
    const count = () => page.locator("main button").textContent();
    await expect
      .poll(async () => {
        // A click before the page lives does nothing.
        if ((await count()) === "0") await page.click("main button");
        return count();
      }, patience)
      .toBe("1");
    await write(
      "next/app/page.js",
      readFileSync(join(sources, "next/app/page.js"), "utf8").replace("Hello from", "Changed"),
    );
    await expect.poll(() => heading(page), patience).toBe("Changed Next.js");
    expect(await count()).toBe("1");
    await ends(page, "next");
    await shell(editor, "pkill -f 'next'; true");
  });

  it("Express, with its redirects, cookies and forms", async () => {
    const page = await preview(3003, "node express/server.js");
    expect([await heading(page), await page.locator("p").textContent()]).toEqual([
      "Hello from Express",
      "visitor=somebody",
    ]);
    await page.click("button");
    await expect.poll(() => heading(page), patience).toBe("Sent");
    await ends(page, "express");
  });

  it("socket.io, by a WebSocket", async () => {
    const page = await preview(3004, "node socket-io/server.js");
    await expect.poll(() => heading(page), patience).toBe("Hello from socket.io by websocket");
    await ends(page, "socket-io");
  });

  it("Flask, with a session and a redirect to an address of its own making", async () => {
    const page = await preview(3005, ".venv/bin/flask --app flask/app.py run --port 3005");
    expect(await heading(page)).toBe("Hello from Flask");
    await page.click("button");
    await expect.poll(() => page.locator("p").textContent(), patience).toBe("Sent");
    await ends(page, "flask");
  });

  it("FastAPI, whose documentation can be tried", async () => {
    const page = await preview(3006, ".venv/bin/uvicorn --app-dir fastapi main:app --port 3006", "items/7");
    // The page takes Swagger UI from a network of mirrors; whether that is up is not our question.
    await page.route(/swagger-ui(-dist)?@[^/]*\//, (route) =>
      route.fulfill({ path: join(swagger, route.request().url().split("/").at(-1) ?? "") }),
    );
    await page.goto(new URL("/docs", page.url()).href);
    await page.click(".opblock-summary");
    await page.click("text=Try it out");
    await page.fill("input[placeholder=item]", "42");
    await page.click("text=Execute");
    await expect.poll(() => page.locator(".live-responses-table").textContent(), patience).toContain('"item": 42');
    await ends(page, "fastapi");
  });
});
