import { describe, expect, it, vi } from "vitest";
import { operator } from "./cluster.ts";
import { newPerson, openEditor, shell } from "./flow.ts";

const patience = { timeout: 60_000, interval: 300 };
/** Longer than a save needs to fail three times, and shorter than it waits for the end of the programs. */
const stoppedSeconds = 45;

/** A program has stopped the runner, which alone can end programs: for a minute no save is made. */
describe("a close that fails", { timeout: 240_000 }, () => {
  async function failing() {
    const api = await newPerson();
    const { id } = await api.create("node", "Cannot close");
    const editor = await openEditor(api, id);
    // In a file, so that no other process has the runner's name in its command.
    const lines = [
      "sleep 1",
      "pid=$(pgrep -f 'node /opt/devex/runner')",
      "kill -STOP $pid",
      `sleep ${stoppedSeconds}`,
      "kill -CONT $pid",
    ];
    const encoded = Buffer.from(lines.join("\n")).toString("base64");
    await shell(
      editor,
      `echo precious > precious; echo ${encoded} | base64 -d > /tmp/stop; (setsid bash /tmp/stop > /dev/null 2>&1 &)`,
    );
    await vi.waitFor(async () => {
      const signal = AbortSignal.timeout(500);
      await expect(fetch(new URL("ping", editor.url), { signal })).rejects.toThrow();
    }, patience);
    const closing = api.close(id).then(
      () => "closed",
      (error: unknown) => String(error),
    );
    await vi.waitFor(async () => {
      const { status, statusReason } = await api.get(id);
      expect([status, statusReason]).toEqual(["stopping", expect.stringContaining("Saving failed")]);
    }, patience);
    return { api, id, closing };
  }

  it("lets its owner in again, with every byte, and the next close saves them", async () => {
    const { api, id, closing } = await failing();
    const editor = await vi.waitFor(() => openEditor(api, id), patience);
    expect(await closing).toMatch(/409/);
    expect(await shell(editor, "cat precious; echo more > more")).toBe("precious");
    expect(await api.get(id)).toMatchObject({ status: "running" });
    expect((await api.close(id)).lost).toBeUndefined();
    const again = await openEditor(api, id);
    expect(await shell(again, "cat precious more")).toBe("precious\nmore");
    await api.close(id);
    await api.remove(id);
  });

  it("is ended by a deletion, which leaves nothing", async () => {
    const { api, id, closing } = await failing();
    await vi.waitFor(() => api.remove(id), patience);
    expect(await closing).toMatch(/409/);
    expect(await api.list()).toEqual([]);
    await vi.waitFor(async () => expect(await operator().podsOf(id)).toEqual([]), patience);
  });
});
