import { isReplId, type ReplId, type User } from "./repl.ts";

/** The one place where an id becomes a name in another system. */

export const taskQueue = "devex";

/** Create, open, close and delete of one REPL share this id: Temporal lets only one of them run. */
export function workflowIdOf(replId: ReplId): string {
  return `repl/${replId}`;
}

/** Nothing of ours collides with a user: no GitHub login contains a dot. */
const internalPrefix = ".devex/";

export const objectKey = {
  workspace: (owner: User, replId: ReplId) => `${owner.login}/${replId}/`,
  isInternal: (key: string) => key.startsWith(internalPrefix),
  /** Whether a key is one that we made, by its shape: of a bucket that others use too. */
  isOurs: (key: string) => key.startsWith(internalPrefix) || isReplId(key.split("/")[1] ?? ""),
  /** For a path that no key can express: not UTF-8, too long, or with a segment the store would rewrite. */
  oddFile: (replId: ReplId, pathDigest: string) => `${internalPrefix}odd/${replId}/${pathDigest}`,
  allOddFiles: `${internalPrefix}odd/`,
  oddFiles: (replId: ReplId) => `${internalPrefix}odd/${replId}/`,
  template: (name: string, digest: string) => `${internalPrefix}templates/${name}/${digest}/`,
  templateManifest: (name: string, digest: string) => `${internalPrefix}templates/${name}/${digest}.json`,
  allRecords: `${internalPrefix}repls/`,
  records: (userId: string) => `${internalPrefix}repls/${userId}/`,
  record: (userId: string, replId: ReplId) => `${internalPrefix}repls/${userId}/${replId}.json`,
  /** Says where the records are. */
  registryHome: `${internalPrefix}registry`,
  trials: `${internalPrefix}trial/`,
  /** Where a store is tried; nothing there is kept. */
  trial: (id: string) => `${internalPrefix}trial/${id}/`,
  deletions: `${internalPrefix}deletions/`,
  /** Names a REPL from when its deletion begins until nothing of it is left. */
  deletion: (userId: string, replId: ReplId) => `${internalPrefix}deletions/${userId}/${replId}.json`,
  revokedToken: (tokenId: string) => `${internalPrefix}revoked/${tokenId}`,
  allSaves: `${internalPrefix}saves/`,
  /** What was saved of sessions that belonged to nothing any more. */
  rescued: (replId: ReplId) => `${internalPrefix}rescued/${replId}/`,
  /** A bucket within the bucket: what was rescued of a session (domain/rescue.ts). */
  rescuedSession: (replId: ReplId, sessionId: string) => `${internalPrefix}rescued/${replId}/${sessionId}/`,
  allRescued: `${internalPrefix}rescued/`,
  saves: (replId: ReplId) => `${internalPrefix}saves/${replId}/`,
  save: (replId: ReplId, generation: number) => `${internalPrefix}saves/${replId}/${generation}.json`,
} as const;

/** Whose record lies under a key. */
export function nameOfRecord(recordKey: string): { readonly userId: string; readonly replId: ReplId } {
  const [userId = "", file = ""] = recordKey.split("/").slice(-2);
  return { userId, replId: file.replace(/\.json$/, "") };
}

export const redisKey = {
  /** In the slot of `userRepls`, because scripts change both at once. */
  userIndex: (userId: string) => `userIndex:{userRepls:${userId}}`,
  eventLog: (replId: ReplId) => `eventLog:${replId}`,
  token: (tokenId: string) => `token:${tokenId}`,
  /** Pub/sub channel: the ids of tokens that were just revoked. */
  revokedTokens: "revokedTokens",
  replMeta: (replId: ReplId) => `replMeta:${replId}`,
  userRepls: (userId: string) => `userRepls:${userId}`,
  activeSession: (replId: ReplId) => `activeSession:${replId}`,
  replEvents: (replId: ReplId) => `replEvents:${replId}`,
} as const;

export const label = {
  name: "app.kubernetes.io/name",
  managedBy: "app.kubernetes.io/managed-by",
  replId: "devex.dev/repl-id",
  sessionId: "devex.dev/session-id",
  userId: "devex.dev/user-id",
} as const;

export const annotation = {
  /** When a kubelet was reminded to look at a pod. */
  asked: "devex.dev/asked-whether-ready",
  /** On the Deployment of a session whose end has begun: what it is to become. */
  ending: "devex.dev/ending",
  /** On the Deployment of a session that may be an orphan: since when it looks so, and how often it was looked at. */
  orphanedSince: "devex.dev/orphaned-since",
  orphanLooks: "devex.dev/orphan-looks",
  /** On the Deployment of a session: when its object store keys were last renewed. */
  keysRenewedAt: "devex.dev/keys-renewed-at",
} as const;

/** `registry/devex/runner:1.2` with `go` is `registry/devex/runner-go:1.2`. Throws where the image has no tag to share. */
export function runnerImageWith(toolchain: string, runnerImage: string): string {
  const [, name, tag = ""] = /^(.+?)(:[A-Za-z0-9_.-]+)?$/.exec(runnerImage) ?? [];
  if (!name || runnerImage.includes("@"))
    throw new Error(`no image with ${toolchain} beside ${runnerImage}: name the runner's image by a tag`);
  return `${name}-${toolchain}${tag}`;
}

export const fieldManager = "devex";
export const runnerPort = 8081;
export const workspaceFolder = "/workspaces";
/** Of the user's programs. */
export const homeFolder = "/home/node";
/** Shared by a pod's own containers, read-only for the user's: tells that the workspace is whole. */
export const stateFolder = "/run/devex";
export const restoredMarker = "/run/devex/restored";
/** Replaces the restored marker after a hand-over: the workspace is whole, but another pod may hold its files now. The runner lets nobody in. */
export const handedOverMarker = "/run/devex/handed-over";
/** Replaces it while the workspace is filled with a save that another pod has made since. */
export const refillingMarker = "/run/devex/refilling";
/** The session is being closed: its programs end, and nobody is let in any more. */
export const closingMarker = "/run/devex/closing";
/** The sync containers make it where the owner of a REPL that is being closed wants it back. */
export const reopeningMarker = "/run/devex/reopening";
/** What the checkpoints know of unsaved work, for the runner to report. */
export const saveStatusFile = "/run/devex/save-status.json";
/** Shared by a pod's sync containers alone: what they know of the files, and who of them saves now. */
export const syncFolder = "/run/devex-sync";
/** Where the checkpoints find the object store's keys, which are renewed in a long session. */
export const keysFolder = "/run/devex-keys";

/** The runner serves under its own base path, so the ingress never rewrites one. */
export function basePathOf(replId: ReplId): string {
  return `/${replId}`;
}

export function accessUrl(runnerUrl: string, replId: ReplId): string {
  return `${runnerUrl.replace(/\/+$/, "")}${basePathOf(replId)}/`;
}

/** The host of a preview's own, below a domain that leads to the ingress with all its names. */
export function previewHost(domain: string, replId: ReplId, port: number): string {
  return `${port}-${replId}.${domain}`;
}

/** Where a program of a REPL is seen: at a host of its own where there is a domain for that, else below the access path. */
export function previewUrl(accessPath: string, domain: string | undefined, replId: ReplId, port: number): string {
  if (domain === undefined) return `${accessPath}user-app/${port}/`;
  const url = new URL(accessPath);
  url.hostname = previewHost(domain, replId, port);
  url.pathname = "/";
  return url.href;
}
