import { describe, expect, it, vi } from "vitest";
import { operator } from "./cluster.ts";
import { inspector, newPerson, openEditor, shell } from "./flow.ts";

const patience = { timeout: 60_000, interval: 250 };

/** What the runbook promises: every workflow may be reset to its first task. */
describe("a reset to the first task", () => {
  it("of a create, an open and a close that had ended well changes nothing", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Reset");
    await shell(await openEditor(api, id), "echo kept > kept.txt");
    expect(await operator().reset(id, "createRepl")).toBe("COMPLETED");
    expect(await shell(await openEditor(api, id), "cat kept.txt")).toBe("kept");

    const { generation } = (await api.close(id)).save;
    expect(await operator().reset(id, "shutdownRepl")).toBe("COMPLETED");
    expect(await api.get(id)).toMatchObject({ status: "stopped", lastSave: { generation } });

    await api.open(id);
    expect(await operator().reset(id, "openRepl")).toBe("COMPLETED");
    expect(await shell(await openEditor(api, id), "cat kept.txt")).toBe("kept");
    expect(await api.list()).toHaveLength(1);
    await api.remove(id);
  });

  it("of a create, when the REPL has been opened by another session since, fails and loses nothing", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Older");
    await api.close(id);
    await shell(await openEditor(api, id), "echo later > later.txt");
    await api.close(id);
    expect(await operator().reset(id, "createRepl")).toBe("FAILED");
    await vi.waitFor(async () => expect(await operator().podsOf(id)).toEqual([]), patience);
    expect(await shell(await openEditor(api, id), "cat later.txt")).toBe("later");
    await api.remove(id);
  });

  it("of a deletion finds nothing left to do", async () => {
    const api = await newPerson();
    const { id } = await api.create("python", "Gone");
    await api.remove(id);
    expect(await operator().reset(id, "deleteRepl")).toBe("COMPLETED");
    expect(await api.list()).toEqual([]);
    expect(await inspector().keysUnder(`${api.login}/${id}/`)).toEqual([]);
  });

  it("of a create that had failed tries it again", async () => {
    const api = await newPerson();
    const look = inspector();
    const hard = { "count/deployments.apps": "0" };
    const quota = { metadata: { name: `none-${Date.now()}` }, spec: { hard } };
    await look.core.createNamespacedResourceQuota({ namespace: look.namespace, body: quota });
    const { id } = await api.startCreate("node", "Second try").finally(() => undefined);
    await vi.waitFor(async () => expect((await api.list()).map(({ status }) => status)).toEqual([]), {
      timeout: 115_000,
      interval: 500,
    });
    await look.core.deleteNamespacedResourceQuota({ namespace: look.namespace, name: quota.metadata.name });
    expect(await operator().reset(id, "createRepl")).toBe("COMPLETED");
    expect(await api.list()).toMatchObject([{ id, status: "running" }]);
    await api.remove(id);
  });
});
