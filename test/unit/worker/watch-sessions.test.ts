import { describe, expect, it } from "vitest";
import { createApplyManifests } from "../../../activities/apply-manifests.ts";
import { createSavePointer } from "../../../domain/save-pointer.ts";
import { createLogger } from "../../../config/logger.ts";
import { createPodNewsHandler } from "../../../worker/watch-sessions.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import { newStart } from "../../fakes/records.ts";

const limits = { maxRepls: 9, maxActive: 9 };

async function openRepl() {
  const fakes = createFakePorts();
  const { ports } = fakes;
  const start = newStart();
  const record = { ...start.repl, sessionId: start.session.id };
  await ports.registry.create(record);
  const place = await ports.directory.reserve(record, start.session, limits, "starting");
  await createApplyManifests(ports)(start);
  const handle = createPodNewsHandler({
    ...ports,
    logger: createLogger("test", "silent"),
    runnerUrl: "http://localhost",
  });
  const publish = () => ports.directory.publish(start.session, "http://localhost/", record, place, limits);
  const status = async () => (await ports.directory.list(start.repl.owner.id))[0];
  return { fakes, start, handle, publish, status };
}

describe("news of pods", () => {
  it("tell the owner that the container was lost, and when it runs again", async () => {
    const { fakes, start, handle, publish, status } = await openRepl();
    await publish();
    await handle({ session: start.session, trouble: "its container was lost (Evicted)" });
    expect(await status()).toMatchObject({
      status: "starting",
      statusReason: "Interrupted: its container was lost (Evicted).",
    });
    await handle({ session: start.session });
    expect(await status()).toMatchObject({ status: "running", url: `http://localhost/${start.repl.id}/` });
    expect(fakes.told.map(({ event }) => event.type)).toEqual(["error", "warning"]);
  });

  it("are none while a session starts or ends", async () => {
    const { fakes, start, handle, publish, status } = await openRepl();
    await handle({ session: start.session, trouble: "its container was deleted" });
    expect(await status()).toMatchObject({ status: "starting" });
    await publish();
    await fakes.ports.cluster.note(start.session, { ending: "stopping" });
    await handle({ session: start.session, trouble: "its container was deleted" });
    await fakes.ports.cluster.remove(start.session);
    await handle({ session: start.session, trouble: "its container was deleted" });
    expect(await status()).toMatchObject({ status: "running" });
    expect(fakes.told).toEqual([]);
  });

  it("free the files of a pod that is gone for its successor, and no other's", async () => {
    const { fakes, start, handle } = await openRepl();
    const { registry, cluster } = fakes.ports;
    const { session, repl } = start;
    const at = expect.any(String) as string;
    const restored = async () => (await registry.read(repl.owner.id, repl.id))?.restored;
    const pointer = createSavePointer(registry);
    await pointer.claim(session, "first");
    await pointer.filled({ session, pod: "first" });
    await handle({ session, trouble: "its container was deleted" });
    await handle({ session, gone: "another" });
    expect(await restored()).toEqual({ sessionId: session.id, pod: "first", at });
    await handle({ session, gone: "first" });
    expect(await restored()).toEqual({ sessionId: session.id, pod: "first", at, gone: true });
    await pointer.claim(session, "second");
    await pointer.filled({ session, pod: "second" });
    await handle({ session, gone: "first" });
    expect(await restored()).toEqual({ sessionId: session.id, pod: "second", at });
    // A close looks at the pods itself.
    await cluster.note(session, { ending: "stopping" });
    await handle({ session, gone: "second" });
    expect(await restored()).toEqual({ sessionId: session.id, pod: "second", at });
  });
});
