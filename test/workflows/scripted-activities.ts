import type { Activities } from "../../activities/index.ts";
import type { SaveSummary } from "../../domain/save.ts";
import type { StartInput } from "../../activities/inputs.ts";

export const save: SaveSummary = {
  generation: 2,
  version: "v2",
  files: 3,
  bytes: 42,
  savedAt: "2026-01-01T00:00:00.000Z",
};
export const url = "http://localhost/repl-x/";

type Behaviour = (attempt: number) => unknown;

/** All activities as plain functions that note their calls. `script` gives some of them another behaviour. */
export function scriptActivities(script: Partial<Record<keyof Activities, Behaviour>> = {}) {
  const calls: string[] = [];
  const inputs: Record<string, unknown> = {};
  const attempts = new Map<string, number>();
  const standard: Partial<Record<keyof Activities, Behaviour>> = {
    waitUntilReady: () => url,
    saveWorkspace: () => save,
    restoreSave: () => save,
  };
  const names: (keyof Activities)[] = [
    "reserveRepl",
    "reserveSession",
    "releaseRepl",
    "releaseSession",
    "forgetRepl",
    "copyTemplate",
    "removeFiles",
    "removeNewFiles",
    "claimSession",
    "reopenSession",
    "applyManifests",
    "removeResources",
    "waitUntilReady",
    "publishSession",
    "withdrawSession",
    "findSession",
    "saveWorkspace",
    "rescueWorkspace",
    "restoreSave",
    "pruneOldSaves",
    "reviewSessions",
    "reviewRemains",
  ];
  const activities = Object.fromEntries(
    names.map((name) => [
      name,
      async (input: unknown) => {
        const attempt = (attempts.get(name) ?? 0) + 1;
        attempts.set(name, attempt);
        calls.push(name);
        inputs[name] = input;
        const behaviour = script[name] ?? standard[name];
        if (behaviour) return behaviour(attempt);
        if (name === "claimSession") return (input as StartInput).session;
        if (name === "findSession") return { id: "s1", replId: (input as { replId: string }).replId, userId: "1" };
        return undefined;
      },
    ]),
  ) as unknown as Activities;
  return { activities, calls, inputs, attemptsOf: (name: keyof Activities) => attempts.get(name) ?? 0 };
}

/** Fails the first `times` attempts with an error that is worth a retry. */
export function failing(times: number, value?: unknown): Behaviour {
  return (attempt) => {
    if (attempt <= times) throw new Error(`attempt ${attempt} did not work`);
    return value;
  };
}
