import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import { chromium, type Browser, type BrowserContext, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { apiUrl } from "./flow.ts";

const patience = { timeout: 30_000, interval: 100 };
const minute = 60_000;
const screenshots = process.env["DEVEX_SCREENSHOTS"];

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

describe("the page, in a browser", { timeout: 3 * minute }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  });
  afterAll(() => browser.close());

  /** Somebody new, signed in as people do it. What the page's console complains of fails the test. */
  async function arrive(): Promise<{ page: Page; context: BrowserContext; complaints: string[] }> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    const complaints = listen(page);
    await page.goto(apiUrl());
    await page.getByLabel("A name to try it with").fill(`t-${randomUUID().slice(0, 8)}`);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Your REPLs" }).waitFor();
    return { page, context, complaints };
  }

  function listen(page: Page): string[] {
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (/Content Security Policy|Uncaught/.test(message.text())) complaints.push(message.text());
    });
    return complaints;
  }

  async function create(page: Page, name: string, template = "Node.js"): Promise<string> {
    await page.locator(".quota:not(:empty)").waitFor();
    const dialog = page.getByRole("button", { name: "New REPL" });
    if (await dialog.isVisible()) await dialog.click();
    await page.getByRole("radio", { name: template }).check();
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByRole("button", { name: "Create and open" }).click();
    await inRoom(page);
    return /repl-[a-z0-9]+/.exec(page.url())?.[0] ?? "";
  }

  const inRoom = (page: Page) =>
    page.getByRole("button", { name: "Save and close" }).waitFor({ timeout: patience.timeout });
  const text = (page: Page): Locator => page.locator(".cm-content");
  /** All of the text, of which the editor draws what is to be seen. */
  const shown = (page: Page): Promise<string> =>
    text(page).evaluate((node) => {
      const { cmTile } = node as unknown as {
        cmTile: { root: { view: { state: { doc: { sliceString(from: number): string } } } } };
      };
      return cmTile.root.view.state.doc.sliceString(0);
    });
  const openFile = async (page: Page, path: string) => {
    await page.getByRole("treeitem", { name: path.split("/").at(-1) ?? "", exact: true }).click();
    await page.locator(`.tab.active button[title="${path}"]`).waitFor(patience);
  };
  const allSaved = (page: Page) => expect.poll(() => page.locator(".mark").count(), patience).toBe(0);
  const screen = (page: Page) => page.locator(".screen:not([hidden]) .xterm-rows");
  async function type(page: Page, command: string, expected: string): Promise<void> {
    await page.locator(".screen:not([hidden]) .xterm").click();
    await page.keyboard.type(`${command}\n`);
    await expect.poll(() => screen(page).textContent(), patience).toContain(expected);
  }

  /** Every screen, in both themes, has nothing that axe objects to and fits the window. */
  async function look(page: Page, name: string): Promise<void> {
    for (const theme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: theme });
      const found = await page.evaluate<Violation[]>(
        `${axe.source}; axe.run(document, { iframes: false, rules: { "target-size": { enabled: true } } }).then(({ violations }) => violations)`,
      );
      const told = found.flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => [id, html, failureSummary]),
      );
      expect(told, `${name}, ${theme}`).toEqual([]);
      if (screenshots) await page.screenshot({ path: join(screenshots, `${name}-${theme}.png`) });
    }
    const widths = "[document.documentElement.scrollWidth, innerWidth]";
    const [width = 0, window = 0] = await page.evaluate<number[]>(widths);
    expect(width, `${name} is wider than its window`).toBeLessThanOrEqual(window);
  }

  it("takes somebody new from the sign-in to a program that runs, and back to it after a close", async () => {
    const { page, complaints } = await arrive();
    await look(page, "first");
    const name = `مشروعي ${"a name as long as they can be ".repeat(2)}`.slice(0, 60).trim();
    await create(page, name);
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe(name);
    await expect.poll(() => page.locator(".editor .tab.active").textContent(), patience).toContain("README.md");

    await openFile(page, "server.js");
    const before = await shown(page);
    expect(before).toContain("createServer");
    await text(page).click();
    await page.keyboard.press("Control+Home");
    await page.keyboard.type("// Why? Because it may be typed.\n");
    await allSaved(page);

    await page.getByRole("button", { name: "Run", exact: true }).click();
    const preview = page.frameLocator("iframe");
    await expect.poll(() => preview.locator("body").textContent(), patience).toMatch(/hello/i);
    await look(page, "room");
    await expect.poll(() => page.locator(".save-line").textContent(), patience).toContain("All saved");

    await page.getByRole("button", { name: "Save and close" }).click();
    await page.getByText("It is closed, and everything in it is saved.").waitFor({ timeout: minute });
    await look(page, "closed");
    await page.getByRole("button", { name: "Open it again" }).click();
    await inRoom(page);
    await openFile(page, "server.js");
    expect(await shown(page)).toBe(`// Why? Because it may be typed.\n${before}`);

    await page.getByRole("link", { name: "Devex" }).click();
    const card = page.getByRole("article");
    await expect.poll(() => card.locator(".state").textContent(), patience).toBe("Open");
    await look(page, "list");
    await page.getByRole("button", { name: `Save and close: ${name}` }).click();
    await expect.poll(() => card.locator(".state").textContent(), { ...patience, timeout: minute }).toBe("Closed");
    await page.getByRole("button", { name: `Delete: ${name}` }).click();
    await look(page, "delete");
    await page.getByRole("button", { name: "Delete for good" }).click();
    await page.getByText("You have none yet.").waitFor({ timeout: minute });
    expect(complaints).toEqual([]);
  });

  describe("in a room", () => {
    let page: Page;
    let context: BrowserContext;
    let complaints: string[];
    let id: string;
    /** Sockets to the room go through this, and can be cut. */
    let isCut = false;
    /** Nothing gets through any more, and nobody says so. */
    let isSilent = false;
    const cuts = new Set<() => void>();
    /** Texts of files come not before this. */
    let textsMayCome = Promise.resolve();

    beforeAll(async () => {
      ({ page, context, complaints } = await arrive());
      await context.routeWebSocket(/\/api\/v1\/repl\/ws/, (socket) => {
        if (!isCut) {
          const server = socket.connectToServer();
          server.onMessage(async (message) => {
            if (String(message).startsWith('{"event":"fetchContentResponse"')) await textsMayCome;
            if (!isSilent) socket.send(message);
          });
          socket.onMessage((message) => {
            if (!isSilent) server.send(message);
          });
        }
        const cut = () => void socket.close();
        if (isCut) cut();
        else cuts.add(cut);
      });
      id = await create(page, "A room");
      return async () => {
        await page.request.delete(`${apiUrl()}/api/repl/${id}`, { headers: { origin: apiUrl() }, timeout: minute });
        await context.close();
      };
    }, 2 * minute);

    async function newFile(name: string): Promise<void> {
      await page.getByRole("button", { name: "New file" }).click();
      await page.getByLabel(/^Path/).fill(name);
      await page.keyboard.press("Enter");
      await page.locator(`.tab.active button[title="${name}"]`).waitFor(patience);
    }
    async function cutOff(): Promise<void> {
      isCut = true;
      for (const cut of cuts) cut();
      await page.getByText("The connection is lost.").waitFor();
    }

    it("files are made, moved, removed, uploaded and downloaded, and seen when others change them", async () => {
      await page.getByRole("button", { name: "New folder" }).click();
      await page.getByLabel(/^Path/).fill("empty");
      await page.keyboard.press("Enter");
      await page.getByRole("treeitem", { name: "empty" }).waitFor();
      await page.getByRole("treeitem", { name: "empty" }).click();
      for (const name of ["one.txt", "two.txt"]) {
        await newFile(name);
        expect(await shown(page)).toBe("");
      }
      // Made in the terminal, it is seen here.
      await type(
        page,
        "printf 'a\\r\\nb\\r\\n' > windows.txt; head -c 3000 /dev/urandom > noise.bin; echo made",
        "made",
      );
      await openFile(page, "windows.txt");
      await text(page).click();
      await page.keyboard.press("Control+End");
      await page.keyboard.type("c?\n");
      await allSaved(page);
      await type(page, "od -An -c windows.txt | tr -d ' \\n'", "a\\r\\nb\\r\\nc?\\r\\n");
      await openFile(page, "noise.bin");
      const downloading = page.waitForEvent("download");
      await page
        .locator(".other-file")
        .getByRole("link", { name: /Download \(3.0 KB\)/ })
        .click();
      expect(readFileSync(await (await downloading).path())).toHaveLength(3000);

      await page.getByLabel("Files to upload").setInputFiles({
        name: "picture.svg",
        mimeType: "image/svg+xml",
        buffer: Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>"),
      });
      await page.getByRole("treeitem", { name: "picture.svg" }).waitFor();
      await page.getByRole("treeitem", { name: "one.txt" }).focus();
      await page.keyboard.press("F2");
      await page.getByLabel(/^Path/).fill("deep/down/renamed.txt");
      await page.keyboard.press("Enter");
      await page.locator('.tab button[title="deep/down/renamed.txt"]').waitFor(patience);
      await page.getByRole("treeitem", { name: "renamed.txt" }).waitFor();
      await page.getByRole("treeitem", { name: "two.txt" }).focus();
      await page.keyboard.press("Delete");
      await look(page, "delete-file");
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await expect.poll(() => page.getByRole("treeitem", { name: "two.txt" }).count(), patience).toBe(0);
      await type(page, "ls -A deep/down empty two.txt", "cannot access");
      await look(page, "files");
    });

    it("a folder of thousands is drawn as far as it is in view, and gone through by keys", async () => {
      await type(page, "mkdir many && (cd many && seq -w 2000 | xargs touch) && echo thou''sands", "thousands");
      await page.getByRole("treeitem", { name: "many", exact: true }).click();
      await page.getByRole("treeitem", { name: "0001", exact: true }).waitFor(patience);
      expect(await page.getByRole("treeitem").count()).toBeLessThan(300);
      const focused = () => page.evaluate<string>("document.activeElement.title");
      await page.getByRole("treeitem", { name: "many", exact: true }).focus();
      await page.keyboard.press("ArrowRight");
      await expect.poll(focused, patience).toBe("many/0001");
      await page.keyboard.press("End");
      await expect.poll(focused, patience).toBe("windows.txt");
      while (!(await focused()).startsWith("many/")) await page.keyboard.press("ArrowUp");
      expect(await focused()).toBe("many/2000");
      await page.keyboard.press("ArrowLeft");
      await expect.poll(focused, patience).toBe("many");
      await page.keyboard.press("ArrowLeft");
      await type(page, "rm -r many && echo no-''more", "no-more");
    });

    it("five megabytes are pasted, and two thousand characters are typed in their order", async () => {
      await newFile("big.txt");
      await text(page).click();
      const line = "0123456789 abcdefghijklmnopqrstuvwxyz?!\n";
      await page.evaluate(
        `{ const data = new DataTransfer(); data.setData("text/plain", ${JSON.stringify(line)}.repeat(125000));
           document.querySelector(".cm-content").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); }`,
      );
      await expect.poll(() => page.locator(".mark").count(), { ...patience, timeout: minute }).toBe(0);
      await type(page, "wc -c < big.txt; rm big.txt", String(line.length * 125_000));
      await page.locator(".editor .tab.active .x").click();

      await newFile("typed.txt");
      await text(page).click();
      const typed = Array.from({ length: 400 }, (_, index) => String(index).padStart(4, "0"))
        .join(" ")
        .slice(0, 1999);
      await page.keyboard.type(typed);
      await allSaved(page);
      const response = await page.request.get(
        await page.getByRole("link", { name: "Download" }).first().getAttribute("href").then(String),
      );
      expect(await response.text()).toBe(typed);
    });

    it("what two people type in one file is merged, and a conflict can be solved", async () => {
      const other = await context.newPage();
      const others = listen(other);
      await other.goto(page.url());
      await inRoom(other);
      await type(page, "printf 'top\\n\\n\\n\\n\\nbottom\\n' > both.txt; echo written", "written");
      await openFile(page, "both.txt");
      await openFile(other, "both.txt");
      await text(page).click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.type("first ");
      await text(other).click();
      await other.keyboard.press("Control+End");
      await other.keyboard.type("last");
      for (const one of [page, other])
        await expect.poll(() => shown(one), patience).toBe("first top\n\n\n\n\nbottom\nlast");

      // Cut off, both change the same line.
      await cutOff();
      await text(page).click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.type("mine ");
      await look(page, "lost");
      const url = String(await page.getByRole("link", { name: "Download" }).first().getAttribute("href"));
      const put = await page.request.put(url, { data: "theirs top\n\n\n\n\nbottom\nlast" });
      expect(put.ok()).toBe(true);
      isCut = false;
      await page.getByText("The lines that you changed were changed elsewhere too.").waitFor({ timeout: minute });
      await look(page, "conflict");
      await page.getByRole("button", { name: "Keep mine" }).click();
      for (const one of [page, other])
        await expect.poll(() => shown(one), patience).toBe("mine first top\n\n\n\n\nbottom\nlast");
      await allSaved(page);
      await other.close();
      expect(others).toEqual([]);
    });

    it("a program goes on while the page is loaded again, and its terminal is found", async () => {
      await type(page, "for i in $(seq 1000); do echo tick-$i; sleep 0.2; done", "tick-3");
      await page.reload();
      await inRoom(page);
      await expect.poll(() => screen(page).textContent(), patience).toMatch(/tick-\d\d/);
      await page.locator(".screen:not([hidden]) .xterm").click();
      await page.keyboard.press("Control+c");
      await type(page, "echo still-''here", "still-here");
    });

    it("a file that comes late does not take the keyboard from who types in a terminal", async () => {
      await openFile(page, "README.md");
      let release = () => {};
      textsMayCome = new Promise((resolve) => (release = resolve));
      await page.reload();
      await inRoom(page);
      await expect.poll(() => screen(page).textContent(), patience).toContain("still-here");
      await page.locator(".screen:not([hidden]) .xterm").click();
      await page.keyboard.type("echo to-the-");
      expect(await text(page).count()).toBe(0);
      release();
      await text(page).waitFor(patience);
      await page.keyboard.type("''end\n");
      await expect.poll(() => screen(page).textContent(), patience).toContain("to-the-end");
      // Who asks for a file gets the keyboard with it.
      await openFile(page, "both.txt");
      const focused = () => page.evaluate<string>("document.activeElement.className");
      await expect.poll(focused, patience).toContain("cm-content");
    });

    it("what is typed into a lost connection arrives when it is back", async () => {
      await openFile(page, "README.md");
      await cutOff();
      await text(page).click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.type("typed while away ");
      await page.locator(".screen:not([hidden]) .xterm").click();
      await page.keyboard.type("echo from-''away\n");
      isCut = false;
      await allSaved(page);
      await expect.poll(() => screen(page).textContent(), patience).toContain("from-away");
      await type(page, "head -c 16 README.md", "typed while away");
    });

    it("what is typed into a lost connection outlives a reload, and is in the file when it is back", async () => {
      await openFile(page, "both.txt");
      await openFile(page, "README.md");
      await cutOff();
      await text(page).click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.type("before the reload ");
      await page.reload();
      await page.getByText("The connection is lost").waitFor();
      isCut = false;
      await page.locator('.tab.active button[title="README.md"]').waitFor(patience);
      expect(await page.locator('.tab button[title="both.txt"]').count()).toBe(1);
      expect(await shown(page)).toContain("before the reload typed while away");
      await allSaved(page);
      await type(page, "head -c 17 README.md", "before the reload");
    });

    it("a network that goes without a word is noticed, and keys that it may have swallowed are told of", async () => {
      isSilent = true;
      await page.locator(".screen:not([hidden]) .xterm").click();
      await page.keyboard.type("echo swall''owed");
      await page.getByText("The connection is lost").waitFor({ timeout: minute });
      await page.getByText("Look which of your last keys have arrived.").waitFor();
      isSilent = false;
      await page.getByText("The connection is lost").waitFor({ state: "detached", timeout: minute });
      await type(page, "echo again-''here", "again-here");
      expect(await screen(page).textContent()).not.toContain("swallowed");
      expect(await page.getByText("Look which of your last keys have arrived.").count()).toBe(0);
    });

    it("what is typed into a REPL that somebody else closes meanwhile is kept until it is open again", async () => {
      await openFile(page, "both.txt");
      await cutOff();
      await text(page).click();
      await page.keyboard.press("Control+Home");
      await page.keyboard.type("kept ");
      const session = `${apiUrl()}/api/repl/session/${id}`;
      expect((await page.request.delete(session, { headers: { origin: apiUrl() }, timeout: minute })).ok()).toBe(true);
      await page.getByText("What you typed last is kept here").waitFor();
      await page.getByRole("button", { name: "Open it again" }).waitFor();
      await look(page, "closed-meanwhile");
      isCut = false;
      await page.getByRole("button", { name: "Open it again" }).click();
      await allSaved(page);
      await type(page, "head -c 5 both.txt; echo is-''there", "kept is-there");
    });

    it("earlier saves are looked into, brought back, and become REPLs of their own", async () => {
      await expect.poll(() => page.locator(".save-line").textContent(), patience).toContain("All saved");
      await page.getByRole("button", { name: "History" }).click();
      const history = page.getByRole("dialog");
      await history.getByRole("button", { name: /^Save 1[^\d]/ }).click();
      await history.getByRole("button", { name: "README.md", exact: true }).click();
      await expect.poll(() => page.locator(".history pre").textContent(), patience).not.toContain("typed while away");
      await look(page, "history");
      await history.getByRole("button", { name: "New REPL from it" }).click();
      await history.getByLabel("Its name").fill("A fork");
      await history.getByRole("button", { name: "Create", exact: true }).click();
      await page.getByRole("heading", { level: 1, name: "A fork" }).waitFor({ timeout: minute });
      await text(page).waitFor(patience);
      expect(await shown(page)).not.toContain("typed while away");
      const fork = /repl-[a-z0-9]+/.exec(page.url())?.[0] ?? "";
      expect(fork).not.toBe(id);
      await page.request.delete(`${apiUrl()}/api/repl/${fork}`, { headers: { origin: apiUrl() }, timeout: minute });

      await page.goto(`${apiUrl()}/room/${id}`);
      await inRoom(page);
      await openFile(page, "README.md");
      await page.getByRole("button", { name: "History" }).click();
      await history.getByRole("button", { name: /^Save 1[^\d]/ }).click();
      await history.getByRole("button", { name: "README.md", exact: true }).click();
      await page.getByRole("button", { name: "Bring back this file alone" }).click();
      await inRoom(page);
      await expect.poll(() => shown(page), patience).not.toContain("typed while away");
      await openFile(page, "both.txt");
    });

    it("a preview has a tab of its own, and is for others only while its port is public", async () => {
      await page.getByRole("button", { name: "Run", exact: true }).click();
      await expect
        .poll(() => page.frameLocator("iframe").locator("body").textContent(), { ...patience, timeout: minute })
        .toMatch(/hello/i);
      const link = page.getByRole("link", { name: "New tab" });
      const [tab] = await Promise.all([context.waitForEvent("page"), link.click()]);
      await expect.poll(() => tab.locator("body").textContent(), patience).toMatch(/hello/i);
      await tab.close();
      const address = new URL(String(await link.getAttribute("href")));
      address.search = "";
      const stranger = await browser.newContext();
      const theirs = await stranger.newPage();
      const isOpen = async () => (await theirs.goto(address.href))?.ok();
      expect(await isOpen()).toBe(false);
      await page.getByLabel("Public").check();
      await expect.poll(isOpen, patience).toBe(true);
      await page.getByLabel("Public").uncheck();
      await expect.poll(isOpen, patience).toBe(false);
      await stranger.close();
      await page.getByRole("button", { name: "Stop", exact: true }).click();
    });

    it("a text is searched by the keyboard", async () => {
      await openFile(page, "server.js");
      await text(page).click();
      await page.keyboard.press("Control+f");
      await page.locator(".cm-search").waitFor();
      await page.keyboard.type("createServer\n");
      await expect.poll(() => page.locator(".cm-searchMatch-selected").count(), patience).toBe(1);
      expect(await page.locator(".cm-searchMatch").count()).toBeGreaterThan(1);
      await look(page, "search");
      await page.keyboard.press("Escape");
    });

    it("fits a telephone", async () => {
      await page.setViewportSize({ width: 360, height: 640 });
      for (const panel of ["Files", "Terminal", "Preview", "Editor"]) {
        await page.getByRole("button", { name: panel, exact: true }).click();
        await look(page, `narrow-${panel.toLowerCase()}`);
      }
      await page.getByRole("link", { name: "Devex" }).click();
      await page.getByRole("article").waitFor();
      await look(page, "narrow-list");
      await page.setViewportSize({ width: 1280, height: 800 });
      await page.getByRole("link", { name: "Enter: A room" }).click();
      await inRoom(page);
    });

    it("is closed to everybody else", async () => {
      const stranger = await arrive();
      await stranger.page.goto(page.url());
      await stranger.page.getByText("There is no such REPL").waitFor();
      await look(stranger.page, "foreign");
      await stranger.context.close();
    });

    it("the quota is told before it is hit", async () => {
      const list = await context.newPage();
      for (const name of ["Second", "Third"]) {
        await list.goto(apiUrl());
        await list.getByRole("article").first().waitFor();
        await create(list, name);
      }
      await list.goto(apiUrl());
      await expect.poll(() => list.locator(".quota").textContent(), patience).toContain("3 of 3 open");
      await list.getByRole("button", { name: "New REPL" }).click();
      await list.getByText("You have 3 open, the most one person can.").waitFor();
      expect(await list.getByRole("button", { name: "Create and open" }).isDisabled()).toBe(true);
      await look(list, "quota");
      await list.keyboard.press("Escape");
      for (const name of ["Second", "Third"]) {
        await list.getByRole("button", { name: `Delete: ${name}` }).click();
        await list.getByRole("button", { name: "Delete for good" }).click();
      }
      await expect.poll(() => list.getByRole("article").count(), { ...patience, timeout: minute }).toBe(1);
      await list.close();
    });

    it("the browser has nothing to complain of in all that", () => expect(complaints).toEqual([]));
  });

  it("says why a create does not get on, and lets it be cancelled", async () => {
    const { page, context } = await arrive();
    await page.getByRole("radio", { name: "Broken" }).check();
    await page.getByRole("button", { name: "Create and open" }).click();
    await expect.poll(() => page.locator("main").textContent(), { ...patience, timeout: minute }).toMatch(/image/i);
    await page.getByText("take another template").first().waitFor();
    // What ended before anybody looked is told too.
    await page.getByText("Copy the template's files").waitFor();
    await look(page, "failing");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByText("You have none yet.").waitFor({ timeout: minute });
    await context.close();
  });
});
