import type { V1Container, V1Deployment, V1Ingress, V1Secret, V1Service } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { previewUrl } from "../../../domain/naming.ts";
import { imageOf } from "../../../manifests/deployment.ts";
import { ingressManifest, sessionObjects } from "../../../manifests/session-objects.ts";
import { saveContainer } from "../../../manifests/sync-container.ts";
import { newStart, testSettings as settings } from "../../fakes/records.ts";

const plan = { ...newStart({ ticketKey: '{"kty":"OKP"}' }), runnerToken: "RT-very-secret" };
const keys = { accessKey: "AK", secretKey: "SK-very-secret" };
const objects = sessionObjects(plan, keys, settings);
const deployment = objects.find((object) => object.kind === "Deployment") as V1Deployment;
const pod = deployment.spec?.template.spec;

describe("the objects of a session", () => {
  it("are the four of the contract, named after the REPL and labelled with whose they are", () => {
    expect(objects.map((object) => object.kind).sort()).toEqual(["Deployment", "Ingress", "Secret", "Service"]);
    for (const { metadata } of [...objects, { metadata: deployment.spec?.template.metadata }]) {
      expect(metadata?.labels).toEqual({
        "app.kubernetes.io/name": "devex-repl",
        "app.kubernetes.io/managed-by": "devex",
        "devex.dev/repl-id": plan.repl.id,
        "devex.dev/session-id": plan.session.id,
        "devex.dev/user-id": plan.repl.owner.id,
      });
    }
    for (const { metadata } of objects) expect(metadata).toMatchObject({ name: plan.repl.id, namespace: "ns" });
  });

  it("run as nobody in particular, with nothing to climb on", () => {
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    });
    for (const container of [
      ...(pod?.containers ?? []),
      ...(pod?.initContainers ?? []),
      saveContainer(plan.session, settings, "sync-1"),
    ]) {
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
        runAsNonRoot: true,
        seccompProfile: { type: "RuntimeDefault" },
      });
    }
    expect(pod?.hostNetwork ?? pod?.hostPID ?? pod?.shareProcessNamespace).toBeUndefined();
  });

  it("run a template's image, its toolchain's beside the runner's, or the runner's", () => {
    const of = (template: object, runnerImage = "r.example:5000/devex/runner:1.2") =>
      imageOf({ ...plan.template, ...template }, { ...settings, runnerImage });
    expect(of({})).toBe("r.example:5000/devex/runner:1.2");
    expect(of({ toolchain: "go" })).toBe("r.example:5000/devex/runner-go:1.2");
    expect(of({ toolchain: "go" }, "r.example:5000/devex/runner")).toBe("r.example:5000/devex/runner-go");
    expect(of({ image: "own/image:3" })).toBe("own/image:3");
    expect(() => of({ toolchain: "go" }, "devex/runner@sha256:abc")).toThrow("name the runner's image by a tag");
  });

  it("save beside the user's container, which can neither change what the saves know nor see it", () => {
    const [restore, checkpoint] = pod?.initContainers ?? [];
    expect(checkpoint).toMatchObject({ name: "checkpoint", restartPolicy: "Always" });
    expect(checkpoint?.env).toContainEqual({ name: "CHECKPOINT_SECONDS", value: "10" });
    const runner = pod?.containers.find(({ name }) => name === "runner");
    const mounts = (container: Pick<V1Container, "volumeMounts"> | undefined) =>
      Object.fromEntries((container?.volumeMounts ?? []).map((mount) => [mount.name, mount.readOnly ?? false]));
    expect(mounts(runner)).toEqual({ workspace: false, state: true, home: false, tmp: false });
    const shared = { workspace: false, state: false, sync: false };
    expect(mounts(restore)).toEqual(shared);
    expect(mounts(checkpoint)).toEqual({ ...shared, keys: true });
    // It may try for longer than the keys that it began with are good.
    expect(mounts(saveContainer(plan.session, settings, "sync-1"))).toEqual({ ...shared, keys: true });
  });

  it("give the object store's keys to the restore and save containers only, and never in plain sight", () => {
    const secret = objects.find((object) => object.kind === "Secret") as V1Secret;
    expect(secret.stringData).toEqual({ ...keys, sessionToken: "", runnerToken: plan.runnerToken });
    const runner = pod?.containers.find(({ name }) => name === "runner");
    expect(JSON.stringify(runner)).not.toMatch(/S3_|accessKey|secretKey|TOKEN/);
    for (const value of [keys.secretKey, plan.runnerToken])
      expect(JSON.stringify(objects.filter((object) => object !== secret))).not.toContain(value);
    expect(
      saveContainer(plan.session, settings, "sync-1").env?.some(
        ({ valueFrom }) => valueFrom?.secretKeyRef?.key === "secretKey",
      ),
    ).toBe(true);
  });

  it("lead to this session's pod only, never to one that is on its way out", () => {
    const service = objects.find((object) => object.kind === "Service") as V1Service;
    expect(service.spec?.selector).toMatchObject({ "devex.dev/session-id": plan.session.id });
    expect(deployment.spec?.selector.matchLabels).toMatchObject({ "devex.dev/session-id": plan.session.id });
  });

  it("bound what one REPL can take", () => {
    expect(pod?.containers[0]?.resources).toEqual({
      requests: { cpu: "100m", memory: "128Mi", "ephemeral-storage": String(2 ** 30) },
      limits: { cpu: "1", memory: "1Gi" },
    });
    expect(pod?.volumes?.find(({ name }) => name === "workspace")).toEqual({
      name: "workspace",
      emptyDir: { sizeLimit: String(10 * 2 ** 30) },
    });
    expect(pod?.containers[0]?.env).toContainEqual({ name: "DEVEX_DISK_BYTES", value: String(5 * 2 ** 30) });
    expect(deployment.spec).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
  });

  it("stay where they are while nobody drains their node", () => {
    expect(deployment.spec?.template.metadata?.annotations).toEqual({
      "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
      "karpenter.sh/do-not-disrupt": "true",
    });
    expect(pod?.terminationGracePeriodSeconds).toBe(30);
  });

  it("route the base path without any controller's annotations, with a host only where the URL has one", () => {
    const ingress = objects.find((object) => object.kind === "Ingress") as V1Ingress;
    expect(ingress.metadata?.annotations).toBeUndefined();
    expect(ingress.spec?.rules).toEqual([
      {
        http: {
          paths: [
            {
              path: `/${plan.repl.id}`,
              pathType: "Prefix",
              backend: { service: { name: plan.repl.id, port: { number: 8081 } } },
            },
          ],
        },
      },
    ]);
    const named = sessionObjects(plan, keys, { ...settings, runnerUrl: "https://run.example.org" }).find(
      (object) => object.kind === "Ingress",
    ) as V1Ingress;
    expect(named.spec?.rules?.[0]?.host).toBe("run.example.org");
  });

  it("give each port of the template a host of its own where there is a domain for that", () => {
    const ingress = ingressManifest(plan, { ...settings, previewDomain: "previews.example.org" });
    const [, preview, ...others] = ingress.spec?.rules ?? [];
    expect(others).toEqual([]);
    expect(preview).toMatchObject({
      host: `3000-${plan.repl.id}.previews.example.org`,
      http: { paths: [{ path: "/", pathType: "Prefix" }] },
    });
    expect(previewUrl("https://run.example.org/r/", "previews.example.org", plan.repl.id, 3000)).toBe(
      `https://3000-${plan.repl.id}.previews.example.org/`,
    );
  });

  it("take a template's own image and the runtime class of the configuration", () => {
    const [, own] = sessionObjects({ ...plan, template: { ...plan.template, image: "own:2" } }, keys, {
      ...settings,
      runtimeClass: "gvisor",
    }) as [unknown, V1Deployment];
    expect(own.spec?.template.spec).toMatchObject({ runtimeClassName: "gvisor", containers: [{ image: "own:2" }] });
  });
});
