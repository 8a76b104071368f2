import { createCopyTemplate } from "../../activities/copy-template.ts";
import { createKubernetesCluster } from "../../adapters/kubernetes-cluster.ts";
import { loadConfig } from "../../config/config.ts";
import { clusterSettings, storeKeys } from "../../config/settings.ts";
import { loadTemplates } from "../../config/templates.ts";
import { createObjectStoreRegistry } from "../../domain/object-store-registry.ts";
import { sessionObjects } from "../../manifests/session-objects.ts";
import { saveContainer } from "../../manifests/sync-container.ts";
import { publishTemplate } from "../../worker/publish-templates.ts";
import { describe, expect, inject, it } from "vitest";
import { createTickets } from "../../api/tickets.ts";
import { newRecord, newStart } from "../fakes/records.ts";
import { openStackBucket } from "../setup/stack-bucket.ts";
import { describeCluster } from "./cluster.ts";

const config = loadConfig(inject("stack"));

const keys = storeKeys(config);
const settings = clusterSettings(config);
const cluster = createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: config.REPL_NAMESPACE });

/** A new REPL whose files can be restored, and the objects of a session of it. */
async function prepare() {
  const [template] = loadTemplates();
  if (!template) throw new Error("there is no template");
  const store = await openStackBucket();
  await publishTemplate(store, template);
  const { publicKey } = await createTickets(["a secret for tests that is long enough"], 60);
  const start = newStart({ repl: newRecord({ template: template.name }), template, ticketKey: publicKey });
  await createCopyTemplate({ store, registry: createObjectStoreRegistry(store) })(start);
  return {
    session: start.session,
    manifests: sessionObjects({ ...start, runnerToken: "token" }, keys, settings),
    saveContainer: (name: string) => saveContainer(start.session, settings, name),
  };
}

describeCluster(() => ({ cluster, prepare }));

describe("the real cluster", () => {
  const soon = () => AbortSignal.timeout(60_000);

  it("names sessions of which objects are left without a Deployment", async () => {
    const start = newStart();
    const objects = sessionObjects({ ...start, runnerToken: "token" }, keys, settings);
    await cluster.applySession(
      start.session,
      objects.filter(({ kind }) => kind !== "Deployment"),
    );
    expect(await cluster.remains()).toContainEqual({ ...start.session, createdAt: expect.any(String) as string });
    await cluster.remove(start.session);
    expect((await cluster.remains()).map(({ id }) => id)).not.toContain(start.session.id);
  });

  it("keeps the pod when a save container has no image or takes too much memory, and the next one saves", async () => {
    const { session, manifests, saveContainer: container } = await prepare();
    await cluster.applySession(session, manifests);
    await cluster.waitForPod(session, soon(), () => {});
    const withoutImage = (name: string) => ({ ...container(name), image: "missing", imagePullPolicy: "Never" });
    await expect(cluster.runInPod(session, withoutImage, soon(), () => {})).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^sync-1 cannot start: ErrImageNeverPull/) as string,
    });
    const hog = "const all = []; for (;;) all.push(Buffer.alloc(256 * 2 ** 20, 1));";
    const hungry = (name: string) => ({ ...container(name), command: ["node", "-e", hog], args: [] });
    expect(await cluster.runInPod(session, hungry, soon(), () => {})).toMatchObject({
      container: "sync-2",
      exitCode: 137,
    });
    expect(await cluster.runInPod(session, container, soon(), () => {})).toMatchObject({
      container: "sync-3",
      exitCode: 0,
    });
    await cluster.remove(session);
  });

  it("tells why the tries of a save container fail, and goes back to the same one", async () => {
    const { session, manifests, saveContainer: container } = await prepare();
    await cluster.applySession(session, manifests);
    await cluster.waitForPod(session, soon(), () => {});
    const tries = `let n = 0; setInterval(() => console.log(JSON.stringify({ event: "save failed", try: ++n, reason: "away" })), 500)`;
    const trying = (name: string) => ({ ...container(name), command: ["node", "-e", tries], args: [] });
    for (let attempt = 1; attempt <= 2; attempt++)
      await expect(cluster.runInPod(session, trying, soon(), () => {})).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(/^away \(sync-1 in .* goes on trying/) as string,
      });
    await cluster.remove(session);
  });
});
