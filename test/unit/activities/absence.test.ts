import { MockActivityEnvironment } from "@temporalio/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { createApplyManifests } from "../../../activities/apply-manifests.ts";
import { createReviewSessions } from "../../../activities/review-sessions.ts";
import { createS3ObjectStore } from "../../../adapters/s3-object-store.ts";
import { createObjectStoreRegistry } from "../../../domain/object-store-registry.ts";
import { openBucket } from "../../../domain/open-bucket.ts";
import { createFakePorts } from "../../fakes/ports.ts";
import { newRecord, newStart } from "../../fakes/records.ts";
import { startS3Server } from "../../fakes/s3-server.ts";

type Server = Awaited<ReturnType<typeof startS3Server>>;
const page = { status: 404, headers: { "content-type": "text/html" }, body: "<html>404 page not found</html>" };

/** What a store that is away looks like. */
const outages: Readonly<Record<string, (server: Server) => void>> = {
  "a proxy answers 404": (server) => server.lieWhen(() => () => page),
  "there is no bucket": (server) => server.loseBucket(),
  "the bucket is empty": (server) => server.loseEverything(),
};

describe("the review of sessions while the store is away", () => {
  const run = (activity: ReturnType<typeof createReviewSessions>): ReturnType<typeof activity> =>
    new MockActivityEnvironment().run(activity, {});

  it.each(Object.entries(outages))("removes no pod when %s", async (_, begin) => {
    const fakes = createFakePorts();
    const server = await startS3Server();
    onTestFinished(() => server.stop());
    const store = createS3ObjectStore(server.options);
    await openBucket(store, "bucket", { hasSessions: false });
    const ports = { ...fakes.ports, store, registry: createObjectStoreRegistry(store) };
    const start = newStart({ repl: newRecord() });
    await ports.registry.create({ ...start.repl, sessionId: start.session.id });
    await createApplyManifests(ports)(start);
    const pod = fakes.machines.pods.get(start.repl.id);
    if (pod) pod.createdAt = new Date(Date.now() - 3_600_000).toISOString();
    begin(server);
    const { findings } = await run(createReviewSessions(ports));
    expect(findings).toEqual([expect.stringContaining("cannot be looked at")]);
    expect(await fakes.ports.cluster.findSession(start.repl.id)).toEqual(start.session);
  });
});
