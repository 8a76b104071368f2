import type { KubernetesObject, V1Deployment, V1EphemeralContainer } from "@kubernetes/client-node";
import { describe, expect, it, vi } from "vitest";
import { label } from "../../domain/naming.ts";
import type { Cluster } from "../../domain/ports.ts";
import type { Session } from "../../domain/repl.ts";

export interface ClusterHarness {
  readonly cluster: Cluster<KubernetesObject, V1EphemeralContainer>;
  /** A new REPL whose files can be restored, and the objects of a session of it. */
  prepare(): Promise<{
    session: Session;
    manifests: KubernetesObject[];
    saveContainer: (name: string) => V1EphemeralContainer;
  }>;
}

const soon = () => AbortSignal.timeout(30_000);

/** What every cluster must do, the one in memory and the real one alike. */
export function describeCluster(makeHarness: () => ClusterHarness): void {
  describe("Cluster", () => {
    it("knows no session of a REPL that does not run", async () => {
      const { cluster, prepare } = makeHarness();
      const { session, saveContainer } = await prepare();
      expect(await cluster.findSession(session.replId)).toBeUndefined();
      expect(await cluster.runInPod(session, saveContainer, soon(), () => {})).toEqual({
        nothing: "gone",
        detail: "the session has no pod",
      });
      await cluster.remove(session);
    });

    it("runs a session from apply to remove, each of which may be repeated", async () => {
      const { cluster, prepare } = makeHarness();
      const { session, manifests, saveContainer } = await prepare();
      await cluster.applySession(session, manifests);
      await cluster.applySession(session, manifests);
      expect(await cluster.findSession(session.replId)).toEqual(session);
      await cluster.waitForPod(session, soon(), () => {});
      await vi.waitFor(
        async () =>
          expect(await cluster.listSessions(session.userId)).toEqual([
            { ...session, isReady: true, createdAt: expect.stringMatching(/^2\d{3}-.*Z$/) as string },
          ]),
        { timeout: 30_000, interval: 100 },
      );

      const progress: string[] = [];
      expect(await cluster.runInPod(session, saveContainer, soon(), (state) => progress.push(state))).toMatchObject({
        container: "sync-1",
        exitCode: 0,
      });
      expect(await cluster.runInPod(session, saveContainer, soon(), () => {})).toMatchObject({
        container: "sync-2",
        exitCode: 0,
      });
      expect(progress[0]).toContain("sync-1");

      await cluster.remove(session);
      await cluster.remove(session);
      expect(await cluster.findSession(session.replId)).toBeUndefined();
      expect(await cluster.listSessions(session.userId)).toEqual([]);
    });

    it("never changes what is another session's, however late an attempt applies", async () => {
      const { cluster, prepare } = makeHarness();
      const { session, manifests } = await prepare();
      await cluster.applySession(session, manifests);
      const late = { ...session, id: `${session.id}-late` };
      const labelled = (object: KubernetesObject) => ({
        ...object,
        metadata: { ...object.metadata, labels: { ...object.metadata?.labels, [label.sessionId]: late.id } },
      });
      await expect(cluster.applySession(late, manifests.map(labelled))).rejects.toMatchObject({ code: "conflict" });
      expect(await cluster.findSession(session.replId)).toEqual(session);
      // Nothing of it stays behind, and nothing of the session that runs goes with it.
      await cluster.remove(late);
      expect(await cluster.findSession(session.replId)).toEqual(session);
      await cluster.remove(session);
    });

    it("finds a session among all, with what was noted at it, until it is gone", async () => {
      const { cluster, prepare } = makeHarness();
      const { session, manifests } = await prepare();
      const find = async () => {
        for (let cursor: string | undefined; ;) {
          const { sessions, next } = await cluster.pageOfSessions(cursor);
          const found = sessions.find(({ id }) => id === session.id);
          if (found || !next) return found;
          cursor = next;
        }
      };
      expect(await find()).toBeUndefined();
      await cluster.note(session, { ending: "stopping" });
      await cluster.applySession(session, manifests);
      expect(await find()).toMatchObject(session);
      expect(await find()).not.toHaveProperty("ending");
      const keysRenewedAt = new Date().toISOString();
      await cluster.note(session, { keysRenewedAt });
      await cluster.note(session, { ending: "deleting" });
      await cluster.note({ ...session, id: "another" }, { ending: "stopping" });
      expect(await find()).toMatchObject({ ...session, keysRenewedAt, ending: "deleting" });
      expect((await cluster.remains()).map(({ id }) => id)).not.toContain(session.id);
      await cluster.remove(session);
      expect(await find()).toBeUndefined();
    });

    it("waits until a pod that is removed has ended, and no longer than it may", async () => {
      const { cluster, prepare } = makeHarness();
      const { session, manifests } = await prepare();
      await cluster.applySession(session, manifests);
      await cluster.waitForPod(session, soon(), () => {});
      expect(await cluster.waitUntilGone(session, AbortSignal.abort())).toBe(false);
      await cluster.remove(session);
      expect(await cluster.waitUntilGone(session, soon())).toBe(true);
      expect(await cluster.waitUntilGone(session, AbortSignal.abort())).toBe(true);
    });

    it("removes no other session's objects", async () => {
      const { cluster, prepare } = makeHarness();
      const { session, manifests } = await prepare();
      await cluster.applySession(session, manifests);
      await cluster.remove({ ...session, id: "another" });
      expect(await cluster.findSession(session.replId)).toEqual(session);
      await cluster.remove(session);
    });

    it("says why a pod can never become ready", async () => {
      const { cluster, prepare } = makeHarness();
      const { session, manifests } = await prepare();
      const runner = (manifests.find(({ kind }) => kind === "Deployment") as V1Deployment).spec?.template.spec
        ?.containers[0];
      if (runner) Object.assign(runner, { image: "missing", imagePullPolicy: "Never" });
      await cluster.applySession(session, manifests);
      await expect(cluster.waitForPod(session, soon(), () => {})).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringContaining("ErrImageNeverPull") as string,
      });
      await cluster.remove(session);
    });

    it("ends a wait when it is told to", async () => {
      const { cluster, prepare } = makeHarness();
      const { session } = await prepare();
      const signal = AbortSignal.timeout(200);
      const waiting = cluster.waitForPod(session, signal, () => {});
      await expect(waiting).rejects.toThrow();
      expect(await waiting.catch((error: unknown) => error)).toBe(signal.reason);
    });
  });
}
