import type { V1Deployment } from "@kubernetes/client-node";
import {
  basePathOf,
  closingMarker,
  homeFolder,
  restoredMarker,
  runnerImageWith,
  runnerPort,
  stateFolder,
  workspaceFolder,
} from "../domain/naming.ts";
import { podSelector, sessionLabels } from "./labels.ts";
import type { Template } from "../domain/template.ts";
import type { ClusterSettings, SessionPlan } from "./settings.ts";
import {
  checkpointContainer,
  keysVolume,
  restoreContainer,
  restrictedContainer,
  stateVolume,
  syncVolume,
  workspaceVolume,
} from "./sync-container.ts";

/** Room for a last save when a node is drained; a close has saved before it deletes. */
const terminationGraceSeconds = 30;

/**
 * Holds the kubelet's first readiness probe back until the runner listens. The first one comes at once, and
 * one that fails is followed by the next only a second later. Gives up after some seconds: then that second
 * no longer matters.
 */
const waitForListener = `for i in {1..200}; do (exec 3<>/dev/tcp/127.0.0.1/${runnerPort}) 2>/dev/null && exit 0; sleep 0.025; done; exit 0`;

/** What is known of each file takes some 600 bytes: enough for 400,000 of them. */
const knownTreeLimit = "256Mi";

/**
 * The runner ends programs at the limit and so keeps what is there; at this the cluster evicts the pod, which loses
 * what no checkpoint has saved.
 */
const evictionFactor = 2;

/** Of its limit: so much of the disk most REPLs take, and the scheduler counts it, so that a node is not filled unseen. */
const diskRequested = 1 / 5;

/** Autoscalers end no node, to save one, on which somebody works. A drain by a person still moves the pod. */
const stayAnnotations = {
  "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
  "karpenter.sh/do-not-disrupt": "true",
} as const;

/** What of the session's Secret opens the object store; the rest is the runner's. */
const storeKeys = ["accessKey", "secretKey", "sessionToken"].map((key) => ({ key, path: key }));

/** Room for what programs keep outside the workspace: caches, packages of their own, temporary files. It ends with the pod. */
const scratchFolders = { home: homeFolder, tmp: "/tmp" } as const;

/** Throws for a toolchain that cannot be had beside the deployment's runner image. */
export function imageOf({ image, toolchain }: Template, { runnerImage }: ClusterSettings): string {
  return image ?? (toolchain ? runnerImageWith(toolchain, runnerImage) : runnerImage);
}

function hostsOfPreviews({ previewDomain, runnerUrl }: ClusterSettings): string {
  return previewDomain ? `.${previewDomain}` : new URL(runnerUrl).hostname;
}

/** Of a quantity with a binary suffix, as templates have them. */
function bytesOf(quantity: string): number {
  return Number.parseInt(quantity) * 1024 ** ("KMGT".indexOf(quantity.at(-2) ?? "") + 1);
}

/** The pod of a session: restore fills the workspace, then the runner serves it. */
export function deploymentManifest(plan: SessionPlan, settings: ClusterSettings): V1Deployment {
  const { session, template } = plan;
  const labels = sessionLabels(session);
  const { resources } = template;
  const diskBytes = bytesOf(resources.diskLimit);
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: session.replId, namespace: settings.namespace, labels },
    spec: {
      replicas: 1,
      revisionHistoryLimit: 0,
      strategy: { type: "Recreate" },
      selector: { matchLabels: podSelector(session) },
      template: {
        metadata: { labels, annotations: { ...stayAnnotations } },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: terminationGraceSeconds,
          ...(settings.runtimeClass ? { runtimeClassName: settings.runtimeClass } : {}),
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 1000,
            runAsGroup: 1000,
            fsGroup: 1000,
            seccompProfile: { type: "RuntimeDefault" },
          },
          initContainers: [restoreContainer(session, settings), checkpointContainer(session, settings)],
          containers: [
            {
              name: "runner",
              image: imageOf(template, settings),
              imagePullPolicy: "IfNotPresent",
              ports: [{ name: "http", containerPort: runnerPort }],
              env: [
                { name: "HOME", value: homeFolder },
                { name: "DEVEX_REPL_ID", value: session.replId },
                { name: "DEVEX_SESSION_ID", value: session.id },
                { name: "DEVEX_USER_ID", value: session.userId },
                { name: "DEVEX_PUBLIC_KEY", value: plan.ticketKey },
                { name: "DEVEX_ALLOWED_ORIGINS", value: settings.allowedOrigins.join(",") },
                { name: "DEVEX_SECURE", value: String(settings.runnerUrl.startsWith("https:")) },
                ...(settings.previewDomain ? [{ name: "DEVEX_PREVIEW_DOMAIN", value: settings.previewDomain }] : []),
                { name: "DEVEX_PORT", value: String(runnerPort) },
                { name: "DEVEX_WORKSPACE", value: workspaceFolder },
                { name: "DEVEX_DISK_BYTES", value: String(diskBytes) },
                { name: "DEVEX_SCRATCH", value: Object.values(scratchFolders).join(":") },
                { name: "DEVEX_RESTORED_MARKER", value: restoredMarker },
                { name: "DEVEX_CLOSING_MARKER", value: closingMarker },
                // Vite refuses hosts that it does not know, and has this for whoever serves it to others.
                { name: "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS", value: hostsOfPreviews(settings) },
                ...Object.entries(template.environment).map(([name, value]) => ({ name, value })),
              ],
              lifecycle: { postStart: { exec: { command: ["bash", "-c", waitForListener] } } },
              readinessProbe: {
                httpGet: { path: `${basePathOf(session.replId)}/ping`, port: runnerPort },
                periodSeconds: 1,
                failureThreshold: 3,
              },
              volumeMounts: [
                { name: workspaceVolume, mountPath: workspaceFolder },
                { name: stateVolume, mountPath: stateFolder, readOnly: true },
                ...Object.entries(scratchFolders).map(([name, mountPath]) => ({ name, mountPath })),
              ],
              resources: {
                requests: {
                  cpu: resources.cpuRequest,
                  memory: resources.memoryRequest,
                  "ephemeral-storage": String(Math.ceil(diskBytes * diskRequested)),
                },
                limits: { cpu: resources.cpuLimit, memory: resources.memoryLimit },
              },
              securityContext: { ...restrictedContainer, readOnlyRootFilesystem: !template.writableRoot },
            },
          ],
          volumes: [
            { name: workspaceVolume, emptyDir: { sizeLimit: String(diskBytes * evictionFactor) } },
            ...Object.keys(scratchFolders).map((name) => ({
              name,
              emptyDir: { sizeLimit: String(diskBytes * evictionFactor) },
            })),
            { name: stateVolume, emptyDir: { sizeLimit: "1Mi" } },
            { name: syncVolume, emptyDir: { sizeLimit: knownTreeLimit } },
            { name: keysVolume, secret: { secretName: session.replId, items: storeKeys, defaultMode: 0o440 } },
          ],
        },
      },
    },
  };
}
