import type { Repl, ReplId, ReplRecord, Session, SessionState, User } from "./repl.ts";
import type { SaveSummary } from "./save.ts";

/** One stored version of an object. */
export interface StoredObject {
  readonly etag: string;
  readonly version: string;
}

export type PutCondition = { readonly ifNoneMatch: true } | { readonly ifMatch: string };

/**
 * A versioned bucket. Every call may be repeated. Codes: `conflict` when a condition does not hold,
 * `unavailable` when the store cannot answer.
 */
export interface ObjectStore {
  /** Creates the bucket and switches versioning on, unless both are so. */
  prepare(): Promise<void>;
  putText(key: string, text: string, condition?: PutCondition): Promise<StoredObject>;
  /**
   * Stores a file's bytes and lets the store check them against `sha256` (hex). Throws `conflict` where the
   * store cannot hold this key beside another (a server on a file system cannot hold "a" and "a/b").
   */
  putFile(key: string, body: Uint8Array | FileBody, sha256: string): Promise<StoredObject>;
  /** Undefined when there is no such object or version. */
  getText(key: string, version?: string): Promise<(StoredObject & { readonly text: string }) | undefined>;
  /** The bytes of one version as a stream; undefined when there is none. */
  getStream(key: string, version: string): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Copies within the store. Throws `not_found` when the source is missing. */
  copy(fromKey: string, toKey: string): Promise<StoredObject>;
  /** Keys of all current objects under a prefix, in the store's order. */
  list(prefix: string): Promise<string[]>;
  /** Hides the current version; older versions stay readable by their name. A missing key is success. */
  remove(keys: readonly string[]): Promise<void>;
  /** Removes every version of everything under a prefix. */
  purge(prefix: string): Promise<void>;
  check(): Promise<void>;
}

/** A file too big for memory: read as often as a retry needs. */
export interface FileBody {
  readonly sizeBytes: number;
  readonly open: () => NodeJS.ReadableStream;
}

export interface SaveAttempt {
  readonly container: string;
  readonly exitCode: number;
  /** What the container wrote as its last words. */
  readonly message: string;
}

/**
 * The cluster. Every call may be repeated: already there and already gone are success. Codes: `conflict`
 * when the objects belong to another session, `unavailable` when the API server cannot answer.
 */
export interface Cluster<Manifest = object, Container = object> {
  /** Makes it so, by server-side apply. */
  apply(manifests: readonly Manifest[]): Promise<void>;
  /** Undefined when no Deployment of this REPL exists. */
  findSession(replId: ReplId): Promise<Session | undefined>;
  /**
   * Waits by watch until the session's pod is Ready; `onProgress` hears each change in words. Throws
   * `unavailable` with the reason when the pod can never become ready or the signal ends the wait.
   */
  waitForPod(session: Session, signal: AbortSignal, onProgress: (state: string) => void): Promise<void>;
  /**
   * Adds an ephemeral container to the session's pod (or finds the one that still runs) and waits for its
   * end. Undefined when the session has no pod whose workspace could hold anything yet.
   */
  runInPod(
    session: Session,
    containerFor: (name: string) => Container,
    signal: AbortSignal,
    onProgress: (state: string) => void,
  ): Promise<SaveAttempt | undefined>;
  /** Deletes the session's objects, and only this session's. */
  remove(session: Session): Promise<void>;
  check(): Promise<void>;
}

export interface Limits {
  readonly maxRepls: number;
  readonly maxActive: number;
}

/** Quick look-ups. Everything here can vanish and be made again from the registry and the cluster. */
export interface ReplDirectory {
  /** Counts and takes one place in one step. Throws `quota_exceeded`. Repeating it for the same session is success. */
  reserve(repl: ReplRecord, session: Session, limits: Limits, status: "creating" | "starting"): Promise<void>;
  /** The session runs and answers at `url`. */
  publish(session: Session, url: string, repl: ReplRecord): Promise<void>;
  setState(session: Session, state: SessionState, reason?: string): Promise<void>;
  /** Frees the session's place, if it is still this session's. `failure` is what the owner should read. */
  withdraw(session: Session, outcome: { readonly save?: SaveSummary; readonly failure?: string }): Promise<void>;
  /** Removes every key of a REPL. */
  forget(userId: string, replId: ReplId): Promise<void>;
  /** Writes what the registry knows; keys of running sessions stay. */
  remember(user: User, records: readonly ReplRecord[]): Promise<void>;
  /** Newest first; undefined when nothing is known of this user. */
  list(userId: string): Promise<Repl[] | undefined>;
  get(replId: ReplId): Promise<Repl | undefined>;
  activeSession(
    replId: ReplId,
  ): Promise<(Session & { readonly state: SessionState; readonly url?: string }) | undefined>;
  check(): Promise<void>;
}

/** Keys with which a session's restore and save containers reach their REPL's objects. */
export interface SyncCredentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

export interface Credentials {
  issue(repl: ReplRecord): Promise<SyncCredentials>;
}
