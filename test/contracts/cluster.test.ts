import { createCopyTemplate } from "../../activities/copy-template.ts";
import type { Ports } from "../../activities/ports.ts";
import { createKubernetesCluster } from "../../adapters/kubernetes-cluster.ts";
import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { loadConfig } from "../../config/config.ts";
import { clusterSettings, objectStoreOptions } from "../../config/settings.ts";
import { loadTemplates } from "../../config/templates.ts";
import { sessionObjects } from "../../manifests/session-objects.ts";
import { saveContainer } from "../../manifests/sync-container.ts";
import { publishTemplate } from "../../worker/publish-templates.ts";
import { describe, expect, inject, it } from "vitest";
import { createTickets } from "../../api/tickets.ts";
import { newRecord, newStart } from "../fakes/records.ts";
import { describeCluster } from "./cluster.ts";

const config = loadConfig(inject("stack"));

describeCluster(() => {
  const keys = { accessKey: config.S3_ACCESS_KEY, secretKey: config.S3_SECRET_KEY };
  const store = createS3ObjectStore(objectStoreOptions(config));
  const settings = clusterSettings(config);
  return {
    cluster: createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: config.REPL_NAMESPACE }),
    async prepare() {
      const [template] = loadTemplates();
      if (!template) throw new Error("there is no template");
      await store.prepare();
      await publishTemplate(store, template);
      const { publicKey } = await createTickets(["a secret for tests that is long enough"], 60);
      const start = newStart({ repl: newRecord({ template: template.name }), template, ticketKey: publicKey });
      await createCopyTemplate({ store } as Ports)(start);
      return {
        session: start.session,
        manifests: sessionObjects({ ...start, runnerToken: "token" }, keys, settings),
        saveContainer: (name) => saveContainer(start.session, settings, name),
      };
    },
  };
});

describe("the real cluster", () => {
  const cluster = createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: config.REPL_NAMESPACE });

  it("names sessions of which objects are left without a Deployment", async () => {
    const start = newStart();
    const keys = { accessKey: "a", secretKey: "b" };
    const objects = sessionObjects({ ...start, runnerToken: "token" }, keys, clusterSettings(config));
    await cluster.apply(objects.filter(({ kind }) => kind !== "Deployment"));
    expect(await cluster.remains()).toContainEqual({ ...start.session, createdAt: expect.any(String) as string });
    await cluster.remove(start.session);
    expect((await cluster.remains()).map(({ id }) => id)).not.toContain(start.session.id);
  });
});
