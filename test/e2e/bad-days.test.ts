import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import type { EditorClient } from "../../tools/editor-client.ts";
import { freeze, operator, pendingOf } from "./cluster.ts";
import { apiUrl, inspector, newPerson, openEditor, recovery, shell } from "./flow.ts";
import { overloadS3 } from "./store-faults.ts";

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
      await delay(8000);
      expect((await look.objectsOf(repl.id)).filter((object) => object.startsWith("Pod/"))).toHaveLength(1);
    } finally {
      thaw();
    }
    const recovered = recovery();
    expect((await closing).save.generation).toBe(2);
    recovered();
    expect(await look.textOf(`${api.login}/${repl.id}/work.txt`)).toBe("precious\n");
    await api.remove(repl.id);
  });

  it("keeps the pod while the object store answers 503, says why, and saves when it does not any more", async () => {
    const api = await newPerson();
    const repl = await api.create("node", "Overloaded");
    await shell(await openEditor(api, repl.id), "echo precious > work.txt");
    const relieve = await overloadS3();
    let closing: ReturnType<typeof api.close>;
    try {
      closing = api.close(repl.id);
      closing.catch(() => {});
      await vi.waitFor(
        async () =>
          expect((await pendingOf(repl.id, "saveWorkspace"))?.lastFailure?.message).toMatch(/503|SlowDown|reduce/),
        patience,
      );
      expect((await operator().podsOf(repl.id)).map(({ status }) => status?.phase)).toEqual(["Running"]);
    } finally {
      await relieve();
    }
    const recovered = recovery();
    await closing.catch(() => {});
    await vi.waitFor(async () => expect((await api.get(repl.id)).status).toBe("stopped"), patience);
    recovered();
    expect(await inspector().textOf(`${api.login}/${repl.id}/work.txt`)).toBe("precious\n");
    await api.remove(repl.id);
  });

  it("ends programs that fill the disk, says so, and keeps what they wrote", async () => {
    const api = await newPerson();
    const { id } = await api.create("small", "Full");
    const isTold = async (editor: EditorClient) =>
      String((await editor.next(({ event }) => event === "error")).data["message"]);
    const editor = await openEditor(api, id);
    const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
    const fill = "head -c 40M /dev/urandom > big; sleep 1000";
    editor.send("terminalInput", { sessionId, data: `${fill}\r` });
    expect(await isTold(editor)).toMatch(/take 4\d MiB, and they may take 32 MiB/);
    const digest = await shell(editor, "pgrep sleep; sha256sum < big");
    expect(digest).toMatch(/^[0-9a-f]{64} {2}-$/);
    expect((await api.close(id)).lost).toBeUndefined();
    const again = await openEditor(api, id);
    // There still is too much; whoever makes room is let be.
    await isTold(again);
    expect(await shell(again, "sha256sum < big; rm big; ls")).toBe(`${digest}\nREADME.md`);
    await api.remove(id);
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
    const recovered = recovery();
    await vi.waitFor(async () => expect((await fetch(`${apiUrl()}/readyz`)).status).toBe(200), patience);
    recovered();
    await api.close(repl.id);
    expect(await api.list()).toMatchObject([{ id: repl.id, status: "stopped" }]);
    await api.remove(repl.id);
  });

  it("waits for a Temporal that hangs for some seconds, as nobody is told what may not be so", async () => {
    const api = await newPerson();
    const thaw = freeze("temporal");
    const creating = api.create("node", "Slow");
    creating.catch(() => {});
    try {
      // Longer than a question may take.
      await delay(8000);
      expect(await api.list()).toEqual([]);
    } finally {
      thaw();
    }
    const { id } = await creating;
    expect(await api.list()).toMatchObject([{ id, status: "running" }]);
    await api.remove(id);
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
    const recovered = recovery();
    const repl = await vi.waitFor(() => api.create("node", "Once", { "idempotency-key": "k" }), patience);
    recovered();
    expect(await api.list()).toMatchObject([{ id: repl.id }]);
    await api.remove(repl.id);
  });
});
