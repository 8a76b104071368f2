import diffMatchPatch from "diff-match-patch";
import { setTimeout as delay } from "node:timers/promises";
import { signIn } from "./api-client.ts";
import { connectEditor } from "./editor-client.ts";
import { createInspector } from "./inspect.ts";
import { stackEnvironment } from "./stack/environment.ts";
import { readOrCreateSettings } from "./stack/settings.ts";

/** The sample flow against the running system, step by step with times. Any surprise ends it with exit code 1. */

const apiUrl = process.env["API_URL"] ?? `http://localhost:${process.env["PORT"] ?? "8080"}`;
const environment = stackEnvironment(readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev"), undefined);
const patcher = new diffMatchPatch.diff_match_patch();

async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  process.stdout.write(`▸ ${title} … `);
  const result = await work();
  console.log(`${Math.round(performance.now() - started)} ms`);
  return result;
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(`expected ${what}`);
}

async function main(): Promise<void> {
  console.log(`Devex Core at ${apiUrl}\n`);
  await step("every server answers (/ping)", async () => {
    const answer = (await (await fetch(`${apiUrl}/ping`)).json()) as Record<string, string>;
    const { version, ...states } = answer;
    for (const [part, state] of Object.entries(states)) expect(state === "ok", `${part} to be ok, it says: ${state}`);
  });
  const api = await step("sign in as demo (development login)", () => signIn(apiUrl, "demo"));
  for (const old of await api.list())
    if (old.name === "Demo") await step(`remove what an earlier demo left (${old.id})`, () => api.remove(old.id));

  const repl = await step('create the REPL "Demo" from the template node', () => api.create("node", "Demo"));
  console.log(`    access path ${repl.url}`);
  const opened = await step("open it: it runs already, so the answer is its path and a ticket", () =>
    api.open(repl.id),
  );
  const editor = await step("connect the editor over WebSocket", () => connectEditor(opened.url, opened.ticket));
  const loaded = await step("list the files", () => editor.ask("Connection", {}, "Loaded"));
  console.log(`    ${(loaded["rootContents"] as { name: string }[]).map((item) => item.name).join("  ")}`);
  await step("edit server.js by a patch", async () => {
    const { content } = await editor.ask("fetchContent", { path: "server.js" });
    const edited = String(content).replace("Hello from Node", "Hello from the demo, Node");
    await editor.ask("updateContent", {
      path: "server.js",
      patch: patcher.patch_toText(patcher.patch_make(String(content), edited)),
    });
  });
  await step("run it in a terminal", async () => {
    const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
    await editor.type(sessionId, "mkdir -p empty && node server.js &", "Listening on port 3000");
  });
  await step("see it through the preview", async () => {
    const page = await (
      await fetch(`${opened.url}user-app/3000/`, { headers: { cookie: `devex_repl=${opened.ticket}` } })
    ).text();
    expect(page.includes("Hello from the demo"), `the edited page, it is: ${page}`);
  });
  await step("a stranger without a ticket is refused", async () => {
    expect((await fetch(`${opened.url}user-app/3000/`)).status === 401, "401");
  });
  await editor.close();

  const closed = await step("close it: save, prove the save, remove", () => api.close(repl.id));
  console.log(`    save ${closed.save.generation}: ${closed.save.files} files, ${closed.save.bytes} bytes`);
  const inspector = createInspector(environment);
  await step("every Kubernetes object is gone", async () => {
    const deadline = Date.now() + 30_000;
    for (let left = await inspector.objectsOf(repl.id); left.length > 0; left = await inspector.objectsOf(repl.id)) {
      expect(Date.now() < deadline, `nothing, these are left: ${left.join(", ")}`);
      await delay(50);
    }
  });
  await step("every file is in S3 under demo/", async () => {
    expect(
      (await inspector.textOf(`demo/${repl.id}/server.js`)).includes("Hello from the demo"),
      "the edited file in the bucket",
    );
  });

  const again = await step("open it again", () => api.open(repl.id));
  const second = await connectEditor(again.url, again.ticket);
  await step("find the work, the empty folder included", async () => {
    const { content } = await second.ask("fetchContent", { path: "/server.js" });
    expect(String(content).includes("Hello from the demo"), "the edited file");
    const names = ((await second.ask("fetchDir", { Dir: "" }))["contents"] as { name: string }[]).map(
      (item) => item.name,
    );
    expect(names.includes("empty"), `the folder "empty" among ${names.join(", ")}`);
  });
  await second.close();
  await step("close it", () => api.close(repl.id));
  await step("delete it with all its files", () => api.remove(repl.id));
  console.log(`\n✓ The whole sample flow works. See the workflows: ${environment["TEMPORAL_UI_URL"]}`);
}

await main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.log("failed");
    console.error(
      `\n✗ ${error instanceof Error ? error.message : String(error)}\n  Is \`npm start\` running? \`npm run stack -- doctor\` says more.`,
    );
    process.exit(1);
  },
);
