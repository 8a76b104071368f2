import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { crash, freeze, killContainer, operator } from "./cluster.ts";
import { newPerson, openEditor, recovery, shell } from "./flow.ts";
import { startWorker } from "./programs.ts";

const patience = { timeout: 110_000, interval: 250 };
/** The longer form: DEVEX_HANG_SECONDS=60. */
const hangSeconds = Number(process.env["DEVEX_HANG_SECONDS"] ?? 10);

/** An open REPL with something in it that no save has yet. */
async function work(name: string) {
  const api = await newPerson();
  const { id } = await api.create("node", name);
  const editor = await openEditor(api, id);
  await shell(editor, "echo precious > work.txt");
  await editor.close();
  const reopened = async () => {
    const again = await vi.waitFor(() => openEditor(api, id), patience);
    const content = await shell(again, "cat work.txt");
    await again.close();
    return content;
  };
  /** The fault is over: the close comes to its end, and the next open finds what no save had. */
  const endsWell = async (closing: Promise<unknown>) => {
    const recovered = recovery();
    await closing;
    await vi.waitFor(async () => expect((await api.get(id)).status).toBe("stopped"), patience);
    recovered();
    expect(await reopened()).toBe("precious");
    await api.remove(id);
  };
  return { api, id, reopened, endsWell };
}

describe("with real servers that fail", () => {
  it.each(["temporal", "kube-apiserver", "s3", "s3-identity", "etcd", "containerd", "kubelet"])(
    "a close ends well although %s crashes in the middle of it",
    async (server) => {
      const { api, id, endsWell } = await work(`Close beside a crash of ${server}`);
      const closing = api.close(id).catch(() => undefined);
      await vi.waitFor(async () => expect((await api.get(id)).status).not.toBe("running"), patience);
      await crash(server);
      await endsWell(closing);
    },
  );

  it.each(["temporal", "kube-apiserver", "s3", "kubelet"])(
    "a create ends well, or leaves nothing, although %s crashes",
    async (server) => {
      const api = await newPerson();
      const { id } = await api.startCreate("node", `Create beside a crash of ${server}`);
      await crash(server);
      const recovered = recovery();
      await vi.waitFor(async () => {
        const [repl] = await api.list();
        expect(repl?.status ?? "gone").toMatch(/running|gone/);
      }, patience);
      recovered();
      if ((await api.list()).length > 0) await api.remove(id);
      await vi.waitFor(async () => expect(await operator().podsOf(id)).toEqual([]), patience);
    },
  );

  it.each(["kube-apiserver", "kubelet"])(
    `a close waits while %s hangs for ${hangSeconds} s, and loses nothing`,
    async (server) => {
      const { api, id, endsWell } = await work(`Close beside a ${server} that hangs`);
      const thaw = freeze(server);
      const closing = api.close(id).catch(() => undefined);
      await delay(hangSeconds * 1000);
      expect((await api.get(id)).status).not.toBe("stopped");
      thaw();
      await endsWell(closing);
    },
  );

  it("a REPL whose runner is killed runs again by itself, with every byte", async () => {
    const { api, id, reopened } = await work("Killed runner");
    const [pod] = await operator().podsOf(id);
    const runner = pod?.status?.containerStatuses?.find(({ name }) => name === "runner")?.containerID;
    killContainer(runner?.replace("containerd://", "") ?? "");
    const recovered = recovery();
    await vi.waitFor(async () => {
      const [after] = await operator().podsOf(id);
      const status = after?.status?.containerStatuses?.find(({ name }) => name === "runner");
      expect([after?.metadata?.uid, status?.ready, status?.restartCount]).toEqual([pod?.metadata?.uid, true, 1]);
    }, patience);
    recovered();
    expect(await reopened()).toBe("precious");
    expect((await api.close(id)).lost).toBeUndefined();
    expect(await reopened()).toBe("precious");
    await api.remove(id);
  });

  it("two workers at once do each thing once", async () => {
    const second = await startWorker();
    try {
      const people = await Promise.all([newPerson(), newPerson(), newPerson()]);
      await Promise.all(
        people.map(async (api) => {
          const repl = await api.create("node", "Two workers");
          expect((await api.close(repl.id)).save.generation).toBe(1);
          await api.open(repl.id);
          await api.remove(repl.id);
          expect(await api.list()).toEqual([]);
        }),
      );
    } finally {
      second.kill("SIGTERM");
      await once(second, "exit");
    }
  });
});
