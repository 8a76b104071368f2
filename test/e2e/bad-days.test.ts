import { describe, expect, it, vi } from "vitest";
import { freeze } from "./cluster.ts";
import { apiUrl, inspector, newPerson, openEditor, shell } from "./flow.ts";

const patience = { timeout: 90_000, interval: 200 };

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
      await vi.waitFor(
        async () => expect((await api.list())[0]?.statusReason).toMatch(/still starting: no pod: .*exceeded quota/),
        patience,
      );
      const [repl] = await api.list();
      await api.close(repl?.id ?? "");
      await expect(creating).rejects.toThrow("409");
      expect(await api.list()).toEqual([]);
    } finally {
      await look.core.deleteNamespacedResourceQuota({ namespace: look.namespace, name: quota.metadata.name });
    }
    expect(await look.keysUnder(`${api.login}/`)).toEqual([]);
  });

  it("goes on reading while Redis hangs, and answers the rest with 503 and Retry-After", async () => {
    const api = await newPerson();
    const repl = await api.create("node", "Readable");
    const before = await api.list();
    const thaw = freeze("redis");
    try {
      expect(await api.list()).toEqual(before);
      expect(await api.get(repl.id)).toEqual(before[0]);
      const ready = await fetch(`${apiUrl()}/readyz`);
      expect(ready.status).toBe(503);
      expect(await (await fetch(`${apiUrl()}/ping`)).json()).toMatchObject({ api: "ok", s3: "ok", temporal: "ok" });
      const events = await fetch(`${apiUrl()}/api/repl/${repl.id}/events`, {
        headers: { authorization: `Bearer ${api.token}` },
      });
      expect([events.status, events.headers.get("retry-after")]).toEqual([503, "5"]);
    } finally {
      thaw();
    }
    await vi.waitFor(async () => expect((await fetch(`${apiUrl()}/readyz`)).status).toBe(200), patience);
    await api.close(repl.id);
    expect(await api.list()).toMatchObject([{ id: repl.id, status: "stopped" }]);
    await api.remove(repl.id);
  });

  it("answers 503 with Retry-After while Temporal hangs, and starts nothing twice", async () => {
    const api = await newPerson();
    const thaw = freeze("temporal");
    try {
      const response = await fetch(`${apiUrl()}/api/repl/create`, {
        method: "POST",
        headers: { authorization: `Bearer ${api.token}`, "content-type": "application/json", "idempotency-key": "k" },
        body: JSON.stringify({ template: "node", name: "Once" }),
      });
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
      expect(await api.list()).toEqual([]);
    } finally {
      thaw();
    }
    const repl = await vi.waitFor(() => api.create("node", "Once", { "idempotency-key": "k" }), patience);
    expect(await api.list()).toMatchObject([{ id: repl.id }]);
    await api.remove(repl.id);
  });
});
