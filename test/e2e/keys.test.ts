import { describe, expect, inject, it, vi } from "vitest";
import { createKubernetesCluster } from "../../adapters/kubernetes-cluster.ts";
import { createS3FileStore } from "../../adapters/s3-file-store.ts";
import { loadConfig } from "../../config/config.ts";
import { keysFolder, objectKey } from "../../domain/naming.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";
import { operator } from "./cluster.ts";
import { newPerson, openEditor, shell } from "./flow.ts";

const refused = { code: "unavailable", message: expect.stringContaining("refuses our keys") as string };

/** The object store as whoever holds the keys in a session's Secret sees it. */
async function storeOf(replId: string) {
  const { accessKey = "", secretKey = "", sessionToken = "" } = await operator().secretOf(replId);
  return createS3FileStore({ ...stackObjectStore(), accessKey, secretKey, sessionToken });
}

describe("the keys in a pod", () => {
  it("open its own REPL and nothing of another one, not even of the same person", async () => {
    const [ada, bob] = [await newPerson(), await newPerson()];
    const [mine, second] = [await ada.create("node", "Mine"), await ada.create("python", "Second")];
    const foreign = await bob.create("node", "Foreign");
    const store = await storeOf(mine.id);
    expect(await store.getText(`${ada.login}/${mine.id}/server.js`)).toMatchObject({
      text: expect.any(String) as string,
    });
    for (const key of [
      `${ada.login}/${second.id}/main.py`,
      `${bob.login}/${foreign.id}/server.js`,
      objectKey.record(bob.userId, foreign.id),
      objectKey.save(foreign.id, 1),
    ]) {
      await expect(store.getText(key), key).rejects.toMatchObject(refused);
      await expect(store.putText(key, "overwritten"), key).rejects.toMatchObject(refused);
    }
    await Promise.all([ada.remove(mine.id), ada.remove(second.id), bob.remove(foreign.id)]);
  });

  it("are renewed in a long session, where the checkpoints find them", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Long");
    const { KUBECONFIG: kubeconfig, REPL_NAMESPACE: namespace } = loadConfig(inject("stack"));
    const cluster = createKubernetesCluster({ kubeconfig, namespace });
    const [session] = await cluster.listSessions(api.userId);
    if (!session) throw new Error("nothing runs");
    const before = (await operator().secretOf(id))["accessKey"] ?? "";
    await cluster.note(session, { keysRenewedAt: new Date(0).toISOString() });
    await operator().reconcile({ userId: api.userId });
    const after = (await operator().secretOf(id))["accessKey"] ?? "";
    expect(after).not.toBe(before);
    // The kubelet brings a mounted Secret up to date at its own pace, a minute or so.
    await vi.waitFor(
      async () => expect(await operator().runIn(id, "checkpoint", ["cat", `${keysFolder}/accessKey`])).toBe(after),
      { timeout: 150_000, interval: 2000 },
    );
    const generation = (await api.get(id)).lastSave?.generation ?? 0;
    await shell(await openEditor(api, id), "echo later > later.txt");
    await vi.waitFor(async () => expect((await api.get(id)).lastSave?.generation).toBeGreaterThan(generation), {
      timeout: 40_000,
      interval: 500,
    });
    await api.remove(id);
  });
});
