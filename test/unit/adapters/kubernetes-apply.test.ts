import * as k8s from "@kubernetes/client-node";
import { beforeEach, describe, expect, it } from "vitest";
import { applyOfSession, type ObjectsOfSessions } from "../../../adapters/kubernetes-apply.ts";
import type { Session } from "../../../domain/repl.ts";
import { sessionLabels } from "../../../manifests/labels.ts";

const kinds = ["Deployment", "Service", "Ingress", "Secret"] as const;
const long = 120_000;

/** An API server of one namespace: objects by kind, of which each has one name here. */
describe("a session's object is applied by compare-and-set", () => {
  const mine: Session = { id: "s-mine", replId: "repl-x", userId: "1" };
  const other: Session = { ...mine, id: "s-other" };
  let there: Map<string, k8s.KubernetesObject>;
  let calls: string[];
  beforeEach(() => {
    there = new Map();
    calls = [];
  });

  const manifestOf = (kind: string, session: Session): k8s.KubernetesObject => ({
    apiVersion: "v1",
    kind,
    metadata: { name: session.replId, labels: sessionLabels(session) },
  });
  const put = (kind: string, session: Session, ageMs: number) => {
    const manifest = manifestOf(kind, session);
    const creationTimestamp = new Date(Date.now() - ageMs);
    there.set(kind, {
      ...manifest,
      metadata: { ...manifest.metadata, uid: `uid of ${session.id}`, creationTimestamp },
    });
  };
  const ownerOf = (kind: string) => there.get(kind)?.metadata?.labels?.["devex.dev/session-id"];
  const server: ObjectsOfSessions = {
    objects: {
      async create(manifest: k8s.KubernetesObject) {
        calls.push("create");
        if (there.has(manifest.kind ?? "")) throw new k8s.ApiException(409, "AlreadyExists", {}, {});
        there.set(manifest.kind ?? "", manifest);
      },
      async patch(manifest: k8s.KubernetesObject) {
        calls.push(`patch ${manifest.metadata?.uid}`);
      },
    } as unknown as k8s.KubernetesObjectApi,
    find: async ({ kind = "" }) => there.get(kind),
    isRunning: async ({ id }) => ownerOf("Deployment") === id,
    clear: async ({ kind = "" }) => {
      calls.push("clear");
      there.delete(kind);
    },
  };

  it.each(kinds)("a %s is created where there is none, and changed with its uid where it is ours", async (kind) => {
    await applyOfSession(server, mine, manifestOf(kind, mine));
    expect([ownerOf(kind), calls]).toEqual([mine.id, ["create"]]);
    put(kind, mine, 0);
    await applyOfSession(server, mine, manifestOf(kind, mine));
    expect(calls).toEqual(["create", "create", `patch uid of ${mine.id}`]);
  });

  it.each(kinds)("a %s of another session that runs is never touched", async (kind) => {
    for (const each of ["Deployment", kind]) put(each, other, long);
    await expect(applyOfSession(server, mine, manifestOf(kind, mine))).rejects.toMatchObject({ code: "conflict" });
    expect([ownerOf(kind), calls]).toEqual([other.id, ["create"]]);
  });

  it.each(kinds.slice(1))(
    "a %s that a session without a Deployment has left is replaced when it is old",
    async (kind) => {
      put(kind, other, 0);
      await expect(applyOfSession(server, mine, manifestOf(kind, mine))).rejects.toMatchObject({ code: "unavailable" });
      expect(ownerOf(kind)).toBe(other.id);
      put(kind, other, long);
      await applyOfSession(server, mine, manifestOf(kind, mine));
      expect(ownerOf(kind)).toBe(mine.id);
    },
  );

  it("looks again when what stood in the way is gone", async () => {
    put("Service", other, long);
    const blind = { ...server, find: async () => undefined };
    await expect(applyOfSession(blind, mine, manifestOf("Service", mine))).rejects.toMatchObject({
      code: "unavailable",
    });
  });
});
