import { describe, expect, it, vi } from "vitest";
import { readServerPid } from "../../tools/stack/processes.ts";
import { readOrCreateSettings } from "../../tools/stack/settings.ts";
import { inspector, newPerson, openEditor, shell } from "./flow.ts";

const patience = { timeout: 90_000, interval: 200 };

/** Stops a server of the stack in its tracks, as a machine that hangs would, until the returned function is called. */
function freeze(server: string): () => void {
  const pid = readServerPid(readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev"), server);
  process.kill(pid, "SIGSTOP");
  return () => process.kill(pid, "SIGCONT");
}

describe("bad days", () => {
  it("keeps the pod while the object store hangs at close, says why, and saves when it is back", async () => {
    const api = await newPerson();
    const repl = await api.create("node", "Patient");
    const editor = await openEditor(api, repl.id);
    await shell(editor, "echo precious > work.txt");
    await editor.close();
    const look = inspector();
    const thaw = freeze("s3");
    let closing: ReturnType<typeof api.close>;
    try {
      closing = api.close(repl.id);
      closing.catch(() => {});
      await vi.waitFor(async () => expect(await api.get(repl.id)).toMatchObject({ status: "stopping" }), patience);
      await new Promise((resolve) => setTimeout(resolve, 8000));
      expect((await look.objectsOf(repl.id)).filter((object) => object.startsWith("Pod/"))).toHaveLength(1);
    } finally {
      thaw();
    }
    expect((await closing).save.generation).toBe(2);
    expect(await look.textOf(`${api.login}/${repl.id}/work.txt`)).toBe("precious\n");
    await api.remove(repl.id);
  });

  it("undoes a create whose pod can never start, and says why", async () => {
    const api = await newPerson();
    const look = inspector();
    // A quota of the cluster that allows no pod at all.
    const quota = { metadata: { name: `none-${Date.now()}` }, spec: { hard: { pods: "0" } } };
    await look.core.createNamespacedResourceQuota({ namespace: look.namespace, body: quota });
    const creating = api.create("node", "Unlucky");
    creating.catch(() => {});
    try {
      await vi.waitFor(async () => expect(await api.list()).toMatchObject([{ status: "creating" }]), patience);
      const [repl] = await api.list();
      await api.close(repl?.id ?? "");
      await expect(creating).rejects.toThrow("409");
      expect(await api.list()).toEqual([]);
    } finally {
      await look.core.deleteNamespacedResourceQuota({ namespace: look.namespace, name: quota.metadata.name });
    }
    expect(await look.keysUnder(`${api.login}/`)).toEqual([]);
  });
});
