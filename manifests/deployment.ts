import type { V1Deployment } from "@kubernetes/client-node";
import { basePathOf, runnerPort, workspaceFolder } from "../domain/naming.ts";
import { podSelector, sessionLabels } from "./labels.ts";
import type { ClusterSettings, SessionPlan } from "./settings.ts";
import { restoreContainer, restrictedContainer, workspaceVolume } from "./sync-container.ts";

/** Room for a last save when a node is drained; a close has saved before it deletes. */
const terminationGraceSeconds = 30;

/** The pod of a session: restore fills the workspace, then the runner serves it. */
export function deploymentManifest(plan: SessionPlan, settings: ClusterSettings): V1Deployment {
  const { session, template } = plan;
  const labels = sessionLabels(session);
  const { resources } = template;
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: session.replId, namespace: settings.namespace, labels },
    spec: {
      replicas: 1,
      revisionHistoryLimit: 0,
      strategy: { type: "Recreate" },
      selector: { matchLabels: podSelector(session.replId) },
      template: {
        metadata: { labels },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: terminationGraceSeconds,
          ...(settings.runtimeClass ? { runtimeClassName: settings.runtimeClass } : {}),
          securityContext: { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: { type: "RuntimeDefault" } },
          initContainers: [restoreContainer(session, settings)],
          containers: [
            {
              name: "runner",
              image: template.image ?? settings.runnerImage,
              imagePullPolicy: "IfNotPresent",
              ports: [{ name: "http", containerPort: runnerPort }],
              env: [
                { name: "DEVEX_REPL_ID", value: session.replId },
                { name: "DEVEX_USER_ID", value: session.userId },
                { name: "DEVEX_PUBLIC_KEY", value: plan.ticketKey },
                { name: "DEVEX_ALLOWED_ORIGINS", value: settings.allowedOrigins.join(",") },
                { name: "DEVEX_SECURE", value: String(settings.runnerUrl.startsWith("https:")) },
                { name: "DEVEX_PORT", value: String(runnerPort) },
                { name: "DEVEX_WORKSPACE", value: workspaceFolder },
                ...Object.entries(template.environment).map(([name, value]) => ({ name, value })),
              ],
              readinessProbe: { httpGet: { path: `${basePathOf(session.replId)}/ping`, port: runnerPort }, periodSeconds: 1, failureThreshold: 3 },
              volumeMounts: [{ name: workspaceVolume, mountPath: workspaceFolder }],
              resources: {
                requests: { cpu: resources.cpuRequest, memory: resources.memoryRequest },
                limits: { cpu: resources.cpuLimit, memory: resources.memoryLimit },
              },
              securityContext: restrictedContainer,
            },
          ],
          volumes: [{ name: workspaceVolume, emptyDir: { sizeLimit: resources.diskLimit } }],
        },
      },
    },
  };
}
