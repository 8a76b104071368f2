import { chromium, type BrowserContext, type CDPSession, type Page } from "playwright-core";
import { buildPage } from "../tools/build-page.ts";
import { connectEditor } from "../tools/editor-client.ts";
import { withPerson } from "./programs.ts";
import { percentile, ratio, rowPrinter, type BenchOptions, type Row } from "./rows.ts";

const keyPresses = 2000;
/** As much as a busy terminal writes in an hour: 30 KB each second. */
const outputBytes = 108_000_000;

/**
 * What people wait for in the browser: until list and room can be used, beside a page of one line from the same
 * server; keys until they are in the file; and what the page holds of memory after an hour's terminal output.
 */
export async function benchPage({ environment, rounds }: BenchOptions, print: (row: Row) => void): Promise<void> {
  await buildPage();
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const row = rowPrinter(print);
  await withPerson(environment, async (api, url) => {
    const { id } = await api.create("node", "Bench");
    const visitor = async (): Promise<BrowserContext> => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      await context.addCookies([{ name: "devex_session", value: api.token, url }]);
      return context;
    };
    try {
      const floor: number[] = [];
      const times: Record<string, number[]> = {
        list: [],
        "list, loaded before": [],
        room: [],
        "room, loaded before": [],
      };
      const sinceAnswer: number[] = [];
      const note = (name: string, value: number) => times[name]?.push(value);
      for (let round = 0; round < rounds; round++) {
        const context = await visitor();
        const page = await context.newPage();
        floor.push(await until(page, `${url}/livez`, "body"));
        for (const name of ["list", "list, loaded before"])
          note(name, await until(page, `${url}/`, "article a.primary"));
        let answered = 0;
        page.on("websocket", (socket) => socket.once("framereceived", () => (answered = performance.now())));
        for (const name of ["room", "room, loaded before"]) {
          note(name, await until(page, `${url}/room/${id}`, ".cm-content"));
          sinceAnswer.push(performance.now() - answered);
        }
        await context.close();
      }
      row("floor: a page of one line", floor);
      for (const [name, values] of Object.entries(times))
        row(`${name} can be used`, values, { ratioToFloor: ratio(percentile(values, 0.5), percentile(floor, 0.5)) });

      row("room can be used, since the runner's first answer", sinceAnswer);

      const context = await visitor();
      const page = await context.newPage();
      const loaded: number[] = [];
      page.on("response", (response) => {
        void response
          .request()
          .sizes()
          .then(
            ({ responseBodySize }) => loaded.push(responseBodySize),
            () => {},
          );
      });
      const sum = () => Math.round(loaded.reduce((all, size) => all + size, 0) / 1000);
      await until(page, `${url}/`, "article a.primary");
      print({ case: "first load of the list, KB compressed", kilobytes: sum() });
      await until(page, `${url}/room/${id}`, ".cm-content");
      print({ case: "first load of list and room, KB compressed", kilobytes: sum() });

      const { url: access, ticket } = await api.open(id);
      const editor = await connectEditor(access, ticket, 60_000);
      print({ case: `${keyPresses} key presses`, ...(await typing(page, (path) => contentOf(access, ticket, path))) });

      const session = await context.newCDPSession(page);
      const before = await heap(session);
      const took = await flood(page);
      print({
        case: "an hour's terminal output at 30 KB/s, all at once",
        megabytes: outputBytes / 1e6,
        seconds: took,
        heapBeforeMB: before,
        heapAfterMB: await heap(session),
      });
      await editor.close();
      await context.close();
    } finally {
      await api.remove(id);
      await browser.close();
    }
  });
}

/** Milliseconds by the browser's clock, from the wish to see an address until what people use on it is drawn. */
async function until(page: Page, address: string, selector: string): Promise<number> {
  await page.goto("about:blank");
  await page.goto(address, { waitUntil: "commit" });
  return page.evaluate<number>(
    `new Promise((resolve) => {
      const look = () => document.querySelector("${selector}") ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))) : requestAnimationFrame(look);
      look();
    })`,
  );
}

async function contentOf(access: string, ticket: string, path: string): Promise<string> {
  const response = await fetch(`${access}api/v1/files/${path}`, { headers: { authorization: `Bearer ${ticket}` } });
  return response.text();
}

/** Types into a new file as fast as the page takes it. */
async function typing(page: Page, read: (path: string) => Promise<string>) {
  await page.getByRole("button", { name: "New file" }).click();
  await page.getByLabel(/^Path/).fill("bench.txt");
  await page.keyboard.press("Enter");
  await page.locator('.tab.active button[title="bench.txt"]').waitFor();
  await page.locator(".cm-content").click();
  await page.evaluate(
    `window.longest = 0; new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration); }).observe({ type: "event", durationThreshold: 16 });`,
  );
  const text = Array.from({ length: keyPresses / 5 }, (_, index) => String(index).padStart(5, "0")).join("");
  const start = performance.now();
  await page.keyboard.type(text);
  const typed = performance.now() - start;
  while ((await read("bench.txt")) !== text) {
    if (performance.now() - start > 120_000) throw new Error("what was typed is not in the file after two minutes");
  }
  const inFile = performance.now() - start;
  const longest = await page.evaluate<number>("window.longest");
  return {
    keysPerSecond: Math.round((keyPresses / typed) * 1000),
    inFileAfterTheLastMs: Math.round(inFile - typed),
    longestFromKeyToPaintMs: Math.round(longest),
    isInOrder: true,
  };
}

async function flood(page: Page): Promise<number> {
  await page.locator(".screen:not([hidden]) .xterm").click();
  const start = performance.now();
  await page.keyboard.type(`yes 'a line of output that a program writes' | head -c ${outputBytes}; echo fl''ooded\n`);
  await page.locator(".screen:not([hidden]) .xterm-rows", { hasText: "flooded" }).waitFor({ timeout: 300_000 });
  return Math.round((performance.now() - start) / 100) / 10;
}

async function heap(session: CDPSession): Promise<number> {
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  return Math.round(usedSize / 1e5) / 10;
}
