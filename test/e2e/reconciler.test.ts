import { Redis } from "ioredis";
import { afterAll, describe, expect, inject, it, vi } from "vitest";
import { createKubernetesCluster } from "../../adapters/kubernetes-cluster.ts";
import { loadConfig } from "../../config/config.ts";
import { redisKey } from "../../domain/naming.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { operator } from "./cluster.ts";
import { newPerson, openEditor, recovery, shell } from "./flow.ts";

const redis = new Redis(stackVariable("REDIS_URL"));
afterAll(() => redis.disconnect());
const patience = { timeout: 60_000, interval: 500 };

function cluster() {
  const { KUBECONFIG: kubeconfig, REPL_NAMESPACE: namespace } = loadConfig(inject("stack"));
  return createKubernetesCluster({ kubeconfig, namespace });
}

describe("sessions that nobody ends", () => {
  it("are closed when nobody uses them, and not while somebody does; the files are there the next time", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Idle");
    const editor = await openEditor(api, id);
    await shell(editor, "echo kept > kept.txt");
    const input = { userId: api.userId, idleSeconds: 1 };
    // The runner has reported somebody who does nothing: that is no idle session.
    await vi.waitFor(async () => {
      const { connections, lastActivityAt = "" } = await redis.hgetall(redisKey.activeSession(id));
      expect(connections).toBe("1");
      expect(Date.now() - Date.parse(lastActivityAt)).toBeGreaterThan(1000);
    }, patience);
    expect(await operator().reconcile(input)).toMatchObject({ sessions: 1, started: 0 });
    await editor.close();
    await vi.waitFor(async () => {
      await operator().reconcile(input);
      expect((await api.get(id)).status).toBe("stopped");
    }, patience);
    expect(await shell(await openEditor(api, id), "cat kept.txt")).toBe("kept");
    await api.remove(id);
  });

  it("are closed when a close was begun and forgotten", async () => {
    const api = await newPerson();
    const { id } = await api.create("python", "Forgotten");
    const [session] = await cluster().listSessions(api.userId);
    if (!session) throw new Error("nothing runs");
    await cluster().note(session, { ending: "stopping" });
    expect(await operator().reconcile({ userId: api.userId, isDryRun: true })).toMatchObject({
      started: 0,
      findings: [`${id}: close, its close was interrupted`],
    });
    expect(await operator().reconcile({ userId: api.userId })).toMatchObject({ started: 1 });
    await vi.waitFor(async () => expect((await api.get(id)).status).toBe("stopped"), patience);
    await api.remove(id);
  });
});

describe("a pod that is lost", () => {
  it("is noticed within seconds, told to its owner, and started again by itself", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Lost");
    const [pod] = await operator().podsOf(id);
    await operator().killPod(pod?.metadata?.name ?? "");
    const recovered = recovery();
    const killedAt = performance.now();
    await vi.waitFor(
      async () => {
        const { status, statusReason } = await api.get(id);
        expect(status).toBe("starting");
        expect(statusReason).toContain("Interrupted: its container was deleted");
      },
      { timeout: 15_000, interval: 20 },
    );
    console.log(`told its owner after ${Math.round(performance.now() - killedAt)} ms`);
    await vi.waitFor(
      async () => expect(await api.get(id)).toMatchObject({ status: "running", isActive: true }),
      patience,
    );
    recovered();
    expect((await api.get(id)).url).toContain(id);
    await api.remove(id);
  });
});
