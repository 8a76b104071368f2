import { connectEditor } from "../tools/editor-client.ts";
import { withPerson } from "./programs.ts";
import { percentile, type BenchOptions, type Row } from "./rows.ts";
import { runnerMemory } from "./runner-memory.ts";

const sizes = [200, 20_000, 100_000];
const filesPerFolder = 200;
const changes = 20;
const patienceMs = 300_000;

/** What large trees cost in the room: until the editor is loaded, until it hears of a change, memory, close and open. */
export async function benchTrees({ environment }: BenchOptions, print: (row: Row) => void): Promise<void> {
  await withPerson(environment, async (api) => {
    for (const files of sizes) {
      const { id } = await api.create("node", `Tree of ${files}`);
      const { url, ticket } = await api.open(id);
      const editor = await connectEditor(url, ticket, patienceMs);
      const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
      const make = `for (let f = 0; f < ${files / filesPerFolder}; f++) { fs.mkdirSync("tree/" + f, { recursive: true }); for (let i = 0; i < ${filesPerFolder}; i++) fs.writeFileSync("tree/" + f + "/" + i, f + "/" + i); }`;
      await editor.type(sessionId, `node -e '${make}'; echo ma''de`, "made\r\n");

      const loadedMs = await timed(() => editor.ask("Connection", {}, "Loaded"));
      const heard: number[] = [];
      for (let change = 0; change < changes; change++) {
        const path = `tree/0/${change}`;
        heard.push(
          await timed(async () => {
            editor.send("terminalInput", { sessionId, data: `echo changed > ${path}\r` });
            await editor.next(({ event, data }) => event === "fileChanged" && data["path"] === path);
          }),
        );
      }
      const { megabytes } = await runnerMemory(editor, sessionId);
      await editor.close();
      const closeMs = await timed(() => api.close(id));
      const openMs = await timed(() => api.open(id));
      print({
        case: `${files} files`,
        loadedMs,
        n: changes,
        p50Ms: percentile(heard, 0.5),
        p95Ms: percentile(heard, 0.95),
        runnerMegabytes: megabytes,
        closeMs,
        openMs,
      });
      await api.remove(id);
    }
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return Math.round(performance.now() - begun);
}
