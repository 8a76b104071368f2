import type {
  V1Container,
  V1EnvVar,
  V1EphemeralContainer,
  V1SecurityContext,
  V1VolumeMount,
} from "@kubernetes/client-node";
import { stateFolder, syncFolder, workspaceFolder } from "../domain/naming.ts";
import type { Session } from "../domain/repl.ts";
import type { ClusterSettings } from "./settings.ts";

export const workspaceVolume = "workspace";
export const stateVolume = "state";
/** Only the sync containers mount it. */
export const syncVolume = "sync";

const syncMounts: V1VolumeMount[] = [
  { name: workspaceVolume, mountPath: workspaceFolder },
  { name: stateVolume, mountPath: stateFolder },
  { name: syncVolume, mountPath: syncFolder },
];

/** What the restricted Pod Security level asks of every container. */
export const restrictedContainer: V1SecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  runAsNonRoot: true,
  runAsUser: 1000,
  runAsGroup: 1000,
  seccompProfile: { type: "RuntimeDefault" },
};

function syncEnvironment(session: Session, settings: ClusterSettings): V1EnvVar[] {
  const { endpoint, region, bucket } = settings.objectStore;
  const fromSecret = (name: string, key: string, optional = false): V1EnvVar => ({
    name,
    valueFrom: { secretKeyRef: { name: session.replId, key, ...(optional ? { optional } : {}) } },
  });
  return [
    { name: "REPL_ID", value: session.replId },
    { name: "SESSION_ID", value: session.id },
    { name: "USER_ID", value: session.userId },
    ...(endpoint ? [{ name: "S3_ENDPOINT", value: endpoint }] : []),
    { name: "S3_REGION", value: region },
    { name: "S3_BUCKET", value: bucket },
    fromSecret("S3_ACCESS_KEY", "accessKey"),
    fromSecret("S3_SECRET_KEY", "secretKey"),
    fromSecret("S3_SESSION_TOKEN", "sessionToken", true),
  ];
}

/**
 * The init container that fills the workspace. It stays (restartPolicy Always) instead of ending, because
 * the kubelet notices an end only at its next look, up to a second later; the runner starts meanwhile and
 * serves nothing until the marker says that every file is there (docs/decisions/0003).
 */
export function restoreContainer(session: Session, settings: ClusterSettings): V1Container {
  return {
    name: "restore",
    image: settings.syncImage,
    imagePullPolicy: "IfNotPresent",
    args: ["restore"],
    restartPolicy: "Always",
    env: syncEnvironment(session, settings),
    volumeMounts: syncMounts,
    resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "1Gi" } },
    securityContext: { ...restrictedContainer, readOnlyRootFilesystem: true },
  };
}

/** The sidecar that saves while people work. Between two checkpoints it is a sleeping shell. */
export function checkpointContainer(session: Session, settings: ClusterSettings): V1Container {
  return {
    name: "checkpoint",
    image: settings.syncImage,
    imagePullPolicy: "IfNotPresent",
    command: ["sh", "/opt/devex/checkpoints.sh"],
    restartPolicy: "Always",
    env: [
      ...syncEnvironment(session, settings),
      { name: "CHECKPOINT_SECONDS", value: String(settings.checkpointSeconds) },
    ],
    volumeMounts: syncMounts,
    resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { memory: "1Gi" } },
    securityContext: { ...restrictedContainer, readOnlyRootFilesystem: true },
  };
}

/** The ephemeral container that makes the last save. Its name is used once: one can be added, never changed. */
export function saveContainer(session: Session, settings: ClusterSettings, name: string): V1EphemeralContainer {
  return {
    name,
    image: settings.syncImage,
    imagePullPolicy: "IfNotPresent",
    args: ["save"],
    env: syncEnvironment(session, settings),
    volumeMounts: syncMounts,
    securityContext: { ...restrictedContainer, readOnlyRootFilesystem: true },
  };
}
