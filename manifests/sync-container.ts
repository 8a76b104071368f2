import type {
  V1Container,
  V1EnvVar,
  V1EphemeralContainer,
  V1SecurityContext,
  V1VolumeMount,
} from "@kubernetes/client-node";
import { keysFolder, stateFolder, syncFolder, workspaceFolder } from "../domain/naming.ts";
import type { Session } from "../domain/repl.ts";
import type { ClusterSettings } from "./settings.ts";

export const workspaceVolume = "workspace";
export const stateVolume = "state";
/** Only the sync containers mount it. */
export const syncVolume = "sync";

/** The saves mount it, because the kubelet keeps a volume up to date and an environment not. */
export const keysVolume = "keys";

const syncMounts: V1VolumeMount[] = [
  { name: workspaceVolume, mountPath: workspaceFolder },
  { name: stateVolume, mountPath: stateFolder },
  { name: syncVolume, mountPath: syncFolder },
];

const keysMount: V1VolumeMount = { name: keysVolume, mountPath: keysFolder, readOnly: true };

/** What the restricted Pod Security level asks of every container. */
export const restrictedContainer: V1SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
  runAsNonRoot: true,
  runAsUser: 1000,
  runAsGroup: 1000,
  seccompProfile: { type: "RuntimeDefault" },
};

function syncEnvironment(session: Session, settings: ClusterSettings): V1EnvVar[] {
  const { endpoint, region, bucket } = settings.objectStore;
  return [
    { name: "REPL_ID", value: session.replId },
    { name: "SESSION_ID", value: session.id },
    { name: "USER_ID", value: session.userId },
    ...(endpoint ? [{ name: "S3_ENDPOINT", value: endpoint }] : []),
    { name: "S3_REGION", value: region },
    { name: "S3_BUCKET", value: bucket },
    ...(settings.savePointer === "api" ? [{ name: "SAVE_POINTER", value: "api" }] : []),
  ];
}

/** For containers that use their keys as soon as they start: they get those that the Secret has then. */
function keysEnvironment(session: Session, settings: ClusterSettings): V1EnvVar[] {
  return [
    ...(settings.savePointer === "api" ? apiEnvironment(session, settings) : []),
    fromSecret(session, "S3_ACCESS_KEY", "accessKey"),
    fromSecret(session, "S3_SECRET_KEY", "secretKey"),
    fromSecret(session, "S3_SESSION_TOKEN", "sessionToken"),
  ];
}

function fromSecret(session: Session, name: string, key: string): V1EnvVar {
  return { name, valueFrom: { secretKeyRef: { name: session.replId, key } } };
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
    env: [...syncEnvironment(session, settings), ...keysEnvironment(session, settings)],
    volumeMounts: syncMounts,
    resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "1Gi" } },
    securityContext: { ...restrictedContainer, readOnlyRootFilesystem: true },
  };
}

/** The checkpoints tell the API of their session, because nothing of the user's runs where they do. */
function apiEnvironment(session: Session, { runnerApiUrl }: ClusterSettings): V1EnvVar[] {
  if (!runnerApiUrl) return [];
  return [{ name: "DEVEX_API_URL", value: runnerApiUrl }, fromSecret(session, "DEVEX_RUNNER_TOKEN", "runnerToken")];
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
      { name: "S3_KEYS_FOLDER", value: keysFolder },
      ...apiEnvironment(session, settings),
      { name: "CHECKPOINT_SECONDS", value: String(settings.checkpointSeconds) },
    ],
    volumeMounts: [...syncMounts, keysMount],
    resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { memory: "1Gi" } },
    securityContext: { ...restrictedContainer, readOnlyRootFilesystem: true },
  };
}

/**
 * The ephemeral container that makes the last save, however long the store is away: the folder has the keys that are
 * renewed meanwhile. Its name is used once: one can be added, never changed.
 */
export const saveContainer = (session: Session, settings: ClusterSettings, name: string) =>
  lastContainer(session, settings, name, "save");

/** The same for an orphan, whose workspace is saved aside. */
export const rescueContainer = (session: Session, settings: ClusterSettings, name: string) =>
  lastContainer(session, settings, name, "rescue");

/** Takes back that a session is being closed; the last of its kind as those are. */
export const reopenContainer = (session: Session, settings: ClusterSettings, name: string) =>
  lastContainer(session, settings, name, "reopen");

function lastContainer(
  session: Session,
  settings: ClusterSettings,
  name: string,
  command: "save" | "rescue" | "reopen",
): V1EphemeralContainer {
  return {
    name,
    image: settings.syncImage,
    imagePullPolicy: "IfNotPresent",
    args: [command],
    env: [...syncEnvironment(session, settings), ...keysEnvironment(session, settings)],
    volumeMounts: [...syncMounts, keysMount],
    securityContext: { ...restrictedContainer, readOnlyRootFilesystem: true },
  };
}
