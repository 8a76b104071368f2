import { describe, expect, it } from "vitest";
import { newPerson, openEditor, shell } from "./flow.ts";

/** What programs and editors do at the worst moment, seen by strangers who wanted to lose something. */
describe("a close of a REPL whose programs do not want to end", { timeout: 240_000 }, () => {
  const script = (text: string) => `echo ${Buffer.from(text).toString("base64")} | base64 -d > /tmp/program`;
  /** Does not wait for an end, which may never come. */
  async function type(editor: Awaited<ReturnType<typeof openEditor>>, line: string): Promise<void> {
    const { sessionId } = await editor.ask("requestTerminal", { tagged: true }, "terminalConnected");
    editor.send("terminalInput", { sessionId, data: `${line}\r` });
  }
  const isAnswering = (url: string) =>
    fetch(new URL("ping", url), { signal: AbortSignal.timeout(1000) }).then(
      ({ ok }) => ok,
      () => false,
    );

  it("has every change that an editor was told of, however many wait", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Busy editor");
    const editor = await openEditor(api, id);
    await shell(editor, "for i in {1..2500}; do echo many/$i; done | xargs mkdir -p");
    const copies = 30;
    const acknowledged = new Set<number>();
    for (let copy = 0; copy < copies; copy++) {
      editor.send("copy", { sourcePath: "many", targetPath: `copy-${copy}` });
      editor.send("createFile", { path: `told-${copy}` });
    }
    const told = (async () => {
      for (let copy = 0; copy < copies; copy++) {
        const { data } = await editor.next(({ event }) => event === "createFileResponse", 120_000);
        if (data["success"]) acknowledged.add(Number(String(data["path"]).slice("told-".length)));
      }
    })().catch(() => {});
    await expect.poll(() => acknowledged.size, { timeout: 60_000 }).toBeGreaterThan(0);
    const { lost } = await api.close(id);
    expect(lost).toBeUndefined();
    void told;
    expect(acknowledged.size, "the close came between").toBeLessThan(copies);
    const again = await openEditor(api, id);
    const there = (await shell(again, "echo told-*")).split(/\s+/);
    expect(there).toEqual(expect.arrayContaining([...acknowledged].map((copy) => `told-${copy}`)));
    await api.close(id);
    await api.remove(id);
  });

  it("ends, and has what was written, with more threads than a pod may have", async () => {
    const api = await newPerson();
    const { id } = await api.create("python", "Threads");
    const editor = await openEditor(api, id);
    const threads =
      "import threading, time\nfor i in range(1200):\n    threading.Thread(target=time.sleep, args=(600,)).start()\n";
    await shell(editor, `${script(threads)}; echo precious > precious; sync`);
    await type(editor, "python3 /tmp/program");
    const { data } = await editor.next(({ event }) => event === "error", 60_000);
    expect(data["message"]).toMatch(/threads were running/);
    expect((await api.close(id)).lost).toBeUndefined();
    const again = await openEditor(api, id);
    expect(await shell(again, "cat precious")).toBe("precious");
    await api.close(id);
    await api.remove(id);
  });

  it("says what is lost where they stop the runner, so that they cannot be ended", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Stopped");
    const editor = await openEditor(api, id);
    const counter = "i=0; while :; do i=$((i+1)); echo $i > /workspaces/counter; sleep 0.05; done";
    await shell(editor, `${script(counter)}; (setsid bash /tmp/program >/dev/null 2>&1 &); echo begun`);
    await type(editor, "kill -STOP $(pgrep -f 'node /opt/devex/runner')");
    await expect.poll(() => isAnswering(editor.url), { timeout: 10_000 }).toBe(false);
    expect((await api.close(id)).lost).toMatch(/could not be ended.*is gone/);
    await api.remove(id);
  });

  it("is nobody else's trouble: one that takes all watches of the node hinders no other REPL", async () => {
    const [hostile, other] = [await newPerson(), await newPerson()];
    const { id } = await hostile.create("python", "Watches");
    const editor = await openEditor(hostile, id);
    const watches =
      "import ctypes, time\nlibc = ctypes.CDLL(None)\nwhile True:\n    if libc.inotify_init() < 0: time.sleep(0.001)\n";
    await shell(editor, `${script(watches)}; (setsid python3 /tmp/program >/dev/null 2>&1 &); sleep 1`);
    // The limit is of the user, who is the same in all pods of a node.
    const taken = await shell(editor, "python3 -c 'import ctypes; print(ctypes.CDLL(None).inotify_init())'");
    expect(taken).toBe("-1");
    const made = await other.create("node", "Neighbour");
    const neighbour = await openEditor(other, made.id);
    await neighbour.ask("Connection", {}, "Loaded");
    await neighbour.ask("createFile", { path: "mine" });
    expect((await other.close(made.id)).lost).toBeUndefined();
    const again = await openEditor(other, made.id);
    expect(await shell(again, "ls mine")).toBe("mine");
    for (const [api, replId] of [
      [other, made.id],
      [hostile, id],
    ] as const) {
      await api.close(replId);
      await api.remove(replId);
    }
  });
});
