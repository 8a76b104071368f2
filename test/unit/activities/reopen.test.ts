import { MockActivityEnvironment } from "@temporalio/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { createReopenSession } from "../../../activities/reopen-session.ts";
import type { SessionInput } from "../../../activities/inputs.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import { podStates } from "../../fakes/pods.ts";
import { newStart } from "../../fakes/records.ts";

describe("reopenSession", () => {
  let told: (string | undefined)[];
  let exitCode: number;
  let fakes: ReturnType<typeof createFakePorts>;
  beforeEach(() => {
    [told, exitCode] = [[], 0];
    fakes = createFakePorts({
      save: (_name, _session, _pod, command) => {
        told.push(command);
        return { exitCode, message: JSON.stringify({ error: "a save does not make way" }) };
      },
    });
  });
  const reopen = (input: SessionInput): Promise<void> =>
    new MockActivityEnvironment().run(createReopenSession(fakes.ports), input);

  async function open(ending?: "stopping" | "deleting") {
    const start = newStart();
    const labels = { "devex.dev/session-id": start.session.id, "devex.dev/repl-id": start.repl.id };
    const userId = { "devex.dev/user-id": start.repl.owner.id };
    await fakes.ports.cluster.apply([{ kind: "Deployment", metadata: { labels: { ...labels, ...userId } } }]);
    if (ending) await fakes.ports.cluster.note(start.session, { ending });
    const endingNow = async () => (await fakes.ports.cluster.listSessions(start.repl.owner.id))[0]?.ending;
    return { session: start.session, endingNow };
  }

  it("takes back a close that did not come to its end, once", async () => {
    const { session, endingNow } = await open("stopping");
    await reopen({ session });
    expect(told).toEqual(["reopen"]);
    expect(await endingNow()).toBeUndefined();
    await reopen({ session });
    expect(told).toHaveLength(1);
  });

  it("leaves a session alone that is open, or being deleted", async () => {
    for (const ending of [undefined, "deleting"] as const) await reopen(await open(ending));
    expect(told).toEqual([]);
  });

  it("says why it cannot, and leaves it as it is", async () => {
    const { session, endingNow } = await open("stopping");
    exitCode = 1;
    await expect(reopen({ session })).rejects.toThrow("a save does not make way");
    fakes.machines.show(session, { first: podStates.find((state) => state === "ending") ?? "ending" });
    await expect(reopen({ session })).rejects.toMatchObject({ code: "unavailable" });
    expect(await endingNow()).toBe("stopping");
  });
});
