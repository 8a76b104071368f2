import type { ReplEvent } from "./events.ts";
import type { SaveStatus, SaveSummary } from "./save.ts";
import type {
  KnownRepl,
  KnownSession,
  Repl,
  ReplId,
  ReplRecord,
  SavedRepl,
  Session,
  SessionState,
  User,
} from "./repl.ts";

/** One stored version of an object. */
export interface StoredObject {
  readonly etag: string;
  readonly version: string;
}

export interface ObjectFacts extends StoredObject {
  readonly sizeBytes: number;
  /** Hex; where the store knows that of the whole. Of an object stored in parts it does not. */
  readonly sha256?: string;
}

export type PutCondition = { readonly ifNoneMatch: true } | { readonly ifMatch: string };

/**
 * What saves and restores need of a versioned bucket. Every call may be repeated. Codes: `conflict` when a
 * condition does not hold, `invalid` when the store takes nothing of that name or size, `unavailable` when it cannot
 * answer or what it stored is not what it was given.
 *
 * Undefined and `not_found` mean that the store itself has said that there is no such object or version; whatever else
 * looks like it (no bucket, a proxy's page) is `unavailable`: the rule for absence, in absence.ts.
 */
export interface FileStore {
  putText(key: string, text: string, condition?: PutCondition): Promise<StoredObject>;
  /**
   * Stores a file's bytes under `sha256` (hex), and reads back the store's own checksum of them. Throws `conflict`
   * where the store cannot hold this key beside another (a server on a file system cannot hold "a" and "a/b").
   */
  putFile(key: string, body: Uint8Array, sha256: string): Promise<StoredObject>;
  /** The same for a file too big for memory: the parts in their order, each of {@link partBytes} or more. */
  putParts(key: string, parts: AsyncIterable<FilePart>): Promise<StoredObject>;
  /** Undefined when there is no such object or version. */
  getText(key: string, version?: string): Promise<(StoredObject & { readonly text: string }) | undefined>;
  /** What is known of an object without its bytes; undefined when there is no such object or version. */
  head(key: string, version?: string): Promise<ObjectFacts | undefined>;
  /** The bytes of one version; undefined when there is none. */
  getStream(key: string, version: string): Promise<AsyncIterable<Uint8Array> | undefined>;
  /**
   * Copies one version, or the current one, within the store; the bytes never leave it. Throws `not_found` when it
   * is missing, and `unavailable` when the copy's checksum is not `sha256`.
   */
  copy(fromKey: string, toKey: string, options?: CopyOptions): Promise<StoredObject>;
  /** Hides the current version; older versions stay readable by their name. A missing key is success. */
  remove(keys: readonly string[]): Promise<void>;
}

export interface CopyOptions {
  readonly version?: string;
  /** Hex; of what is copied. */
  readonly sha256?: string;
}

/** Part of a big file. The bytes may be used again as soon as the next but one is asked for. */
export interface FilePart {
  readonly bytes: Uint8Array;
  /** Hex. */
  readonly sha256: string;
}

/** What S3 wants a part to have at least, but for the last one. */
export const partBytes = 5 * 1024 * 1024;

/** One version of an object, as a listing of versions names it. */
export interface ListedVersion {
  readonly key: string;
  readonly version: string;
  readonly modifiedAt: Date;
  /** Hides the versions before it. */
  readonly isMarker: boolean;
}

/**
 * A versioned bucket, whole. A list that is empty was believed beside the bucket's sentinel, which reads; without that
 * `list`, `folders`, `listVersions` and `purge` throw `unavailable` where they find nothing (absence.ts).
 */
export interface ObjectStore extends FileStore {
  /**
   * Creates the bucket and switches versioning on, unless both are so. Throws `unavailable` where there is no bucket
   * and none may be created.
   */
  prepare(options?: { readonly mayCreate?: boolean }): Promise<void>;
  /** Keys of all current objects under a prefix, in the store's order. `unproven` takes an empty list without the sentinel: for whoever makes that. */
  list(prefix: string, options?: { readonly unproven?: boolean }): Promise<string[]>;
  /** Prefixes one level below this one, each with its "/", that something current lies under. */
  folders(prefix: string): Promise<string[]>;
  /** The first bytes of an object as text; undefined when there is none. */
  getHead(key: string, bytes: number): Promise<string | undefined>;
  /** All versions of everything under a prefix, delete markers too, page by page. */
  listVersions(prefix: string): AsyncIterable<readonly ListedVersion[]>;
  /** Removes these versions for good. */
  removeVersions(versions: readonly Pick<ListedVersion, "key" | "version">[]): Promise<void>;
  /** Removes every version of everything under a prefix. */
  purge(prefix: string): Promise<void>;
  check(): Promise<void>;
}

/** Uploads in parts that were begun and never ended: they take room, and no listing of objects shows them. */
export interface Uploads {
  /** Ends those that began before; returns how many. */
  abort(isOurs: (key: string) => boolean, before: Date): Promise<number>;
}

/** A REPL whose deletion has begun: there may still be files of it. */
export interface Deletion {
  readonly replId: ReplId;
  readonly owner: User;
  /** Of the record that it is about; absent where none was left. */
  readonly createdAt?: string;
}

/** The removal of one REPL's record. */
export interface Burial extends Deletion {
  readonly createdAt: string;
  /** The run of the create that is undone; absent for a deletion. */
  readonly run?: string;
}

/** Names a record without reading it. */
export interface RecordName {
  readonly userId: string;
  readonly replId: ReplId;
}

/** Where the records of a bucket's REPLs are kept. */
export type RegistryHome = "bucket" | "postgres";

/**
 * The registry: the truth about which REPLs there are, a record each, and notes of the deletions that are under way.
 * Every call may be repeated and throws `unavailable` when the registry cannot answer.
 */
export interface Registry {
  readonly home: RegistryHome;
  read(userId: string, replId: ReplId): Promise<ReplRecord | undefined>;
  /** All REPLs of a user, in no particular order. */
  list(userId: string): Promise<ReplRecord[]>;
  /** Whose records there are, all of them; one that cannot be read is among them, and so is what has left tombstones only. */
  names(): Promise<RecordName[]>;
  /**
   * Writes a new record; one that is there already and was made at the same time is success. Throws `conflict` where
   * another one is, and for one that was buried: its create was undone, or the REPL was deleted, meanwhile.
   */
  create(record: ReplRecord): Promise<void>;
  /**
   * Reads, changes and writes back a record: of two at once each sees what the other has written. `change` may be
   * called again, and may throw to leave the record as it is. Throws `not_found` when there is none.
   */
  update(userId: string, replId: ReplId, change: (record: ReplRecord) => ReplRecord): Promise<ReplRecord>;
  /**
   * Removes a record by compare-and-set and leaves a tombstone in its place, also where there is none (yet). False, and
   * nothing is changed, where the record of another REPL is there, or one that `mayBury` refuses.
   */
  bury(burial: Burial, mayBury?: (record: ReplRecord) => boolean): Promise<boolean>;
  /** Forgets tombstones that no late attempt can need any more. */
  forgetTombstones(userId: string, replId: ReplId): Promise<void>;
  /** Removes a record that lives on elsewhere, without a trace. */
  remove(userId: string, replId: ReplId): Promise<void>;
  /** One that was noted before stays as it is. */
  noteDeletion(deletion: Deletion): Promise<void>;
  findDeletion(userId: string, replId: ReplId): Promise<Deletion | undefined>;
  /** Deletions that have begun and not ended; few, and none most of the time. */
  deletions(): Promise<Deletion[]>;
  /** Nothing of the REPL is left. */
  endDeletion(userId: string, replId: ReplId): Promise<void>;
  check(): Promise<void>;
}

/** Who saves: a session, and which of its pods. */
export interface Writer {
  readonly session: Session;
  /** Absent where no pod is behind it. */
  readonly pod?: string | undefined;
}

/** Another pod of the session holds the files, and has neither released them nor gone. */
export interface HeldRepl {
  readonly heldBy: string;
}

/**
 * Where a REPL's record says which save is its newest, for the REPL's one writer: the session that claimed it last, in
 * the pod that restored for it last. Every call may be repeated. Throws `not_found` without a record, `conflict` when
 * somebody else is the writer (now), and `unavailable`.
 */
export interface SavePointer {
  read(writer: Writer): Promise<SavedRepl>;
  /**
   * From here on no other pod of the session can save. Where one held the files before and did not release them, the
   * record says that it was lost.
   */
  claim(session: Session, pod: string): Promise<SavedRepl>;
  /** The same, unless another pod of the session holds the files: it may be making its last checkpoint. */
  claimWhenFree(session: Session, pod: string): Promise<SavedRepl | HeldRepl>;
  /** The pod has every file: from here on work may be lost with it. */
  filled(writer: Required<Writer>): Promise<void>;
  /**
   * The pod has saved all that can be saved and writes no more: its successor may begin. `notSaved` says in words what
   * goes with the pod.
   */
  release(writer: Required<Writer>, notSaved?: string): Promise<void>;
  /** Makes a save whose manifest is stored the newest one. Throws `conflict` when the newest is not `parent`. */
  move(writer: Writer, parent: number, save: SaveSummary): Promise<void>;
}

export interface SaveAttempt {
  readonly pod: string;
  readonly container: string;
  readonly exitCode: number;
  /** What the container wrote as its last words. */
  readonly message: string;
}

/** A session as the cluster has it. */
export interface RunningSession extends Session {
  readonly createdAt: string;
  readonly isReady: boolean;
  /** Somebody has begun to end it. */
  readonly ending?: "stopping" | "deleting";
  /** When its object store keys were last renewed; absent for those that it began with. */
  readonly keysRenewedAt?: string;
  /** It looks as if nobody would want it any more. */
  readonly orphan?: OrphanNote;
}

export interface OrphanNote {
  readonly since: string;
  /** How often it was looked at and looked so. */
  readonly looks: number;
}

/** What can be noted at a session's own objects, where it outlives everything but them. */
export type SessionNote = Partial<Pick<RunningSession, "keysRenewedAt">> & {
  /** Null: its end was taken back. */
  readonly ending?: RunningSession["ending"] | null;
  /** Null: it was none. */
  readonly orphan?: OrphanNote | null;
};

export interface SessionPage {
  readonly sessions: readonly RunningSession[];
  /** Absent on the last page. */
  readonly next?: string;
}

/** A pod of a session that was lost while it ran, or that is ready again. */
export interface PodNews {
  readonly session: Session;
  /** In words for its owner. Absent when the session's pod has become ready, or has gone and they have heard of it. */
  readonly trouble?: string;
  /** The pod's name, when its object was deleted or it failed: nothing of it runs any more. */
  readonly gone?: string;
}

/** Why no save container could run. */
export interface NothingSaved {
  /**
   * - `never filled`: no container has run in the session's pods, so none holds work.
   * - `ending`: a pod that may hold work is being ended, and may be making its last checkpoint.
   * - `between lives`: the containers of a pod that may hold work have run, and none runs now; its files are there.
   * - `gone`: no pod that may hold work is left.
   */
  readonly nothing: "never filled" | "ending" | "between lives" | "gone";
  readonly pod?: string;
  /** In words for an operator; what to do, where somebody has to do something. */
  readonly detail: string;
}

/**
 * The cluster. Every call may be repeated: already there and already gone are success. Codes: `conflict`
 * when the objects belong to another session, `unavailable` when the API server cannot answer.
 */
export interface Cluster<Manifest = object, Container = object> {
  /** Makes it so, by server-side apply, whatever is there. */
  apply(manifests: readonly Manifest[]): Promise<void>;
  /**
   * Makes a session's objects so, each by compare-and-set: those of another session are never changed. Throws
   * `conflict` where another session of the REPL runs. None is on its way any more when it has failed.
   */
  applySession(session: Session, manifests: readonly Manifest[]): Promise<void>;
  /** Undefined when no Deployment of this REPL exists. */
  findSession(replId: ReplId): Promise<Session | undefined>;
  /** All sessions of a user, and whether their runner is ready. */
  listSessions(userId: string): Promise<readonly RunningSession[]>;
  /** All sessions of everybody, page by page. */
  pageOfSessions(cursor?: string): Promise<SessionPage>;
  /** Sessions of which objects are left but no Deployment, and when the oldest of those was made. */
  remains(): Promise<readonly (Session & { readonly createdAt: string })[]>;
  /** Notes something at a session's Deployment; one that is gone, or another session's, is left alone. */
  note(session: Session, note: SessionNote): Promise<void>;
  /** Tells of pods that are lost, run out of memory or become ready again, from now on until the signal ends it. */
  watchSessions(signal: AbortSignal, onNews: (news: PodNews) => void): Promise<void>;
  /**
   * Waits by watch until the session's pod is Ready; `onProgress` hears each change in words. Throws
   * `unavailable` with the reason when the pod can never become ready or the signal ends the wait.
   */
  waitForPod(session: Session, signal: AbortSignal, onProgress: (state: string) => void): Promise<void>;
  /**
   * Adds an ephemeral container to the session's pod (or finds the one that still runs) and waits for its
   * end. Says which kind of nothing it found when there is no pod to run it in. `mayHoldWork` tells whether a pod of
   * this name may hold work that no save has; all may where it is not given. Throws `unavailable` when the container
   * does not start; the pod is kept then, whatever is wrong with it.
   */
  runInPod(
    session: Session,
    containerFor: (name: string) => Container,
    signal: AbortSignal,
    onProgress: (state: string) => void,
    mayHoldWork?: (pod: string) => boolean,
  ): Promise<SaveAttempt | NothingSaved>;
  /** Deletes the session's objects, and only this session's. A pod that is already ending keeps the time it has. */
  remove(session: Session): Promise<void>;
  /** Waits until no pod of the session is left. False when the signal ends the wait before. */
  waitUntilGone(session: Session, signal: AbortSignal): Promise<boolean>;
  check(): Promise<void>;
}

export interface Limits {
  readonly maxRepls: number;
  readonly maxActive: number;
}

/** A place that was taken; the epoch tells whether the look-ups were flushed since. */
export interface Place {
  readonly epoch: string;
  readonly isCreating: boolean;
}

/**
 * Quick look-ups. All of it can vanish at any moment and is then filled again from the truth by the next
 * call, whichever that is. Every call may be repeated and throws `unavailable` when the look-ups cannot answer.
 */
export interface ReplDirectory {
  /**
   * Counts and takes one place in one step. Throws `quota_exceeded`, and `conflict` when another session of
   * the REPL runs. Repeating it for the same session is success.
   */
  reserve(repl: ReplRecord, session: Session, limits: Limits, status: "creating" | "starting"): Promise<Place>;
  /**
   * The session runs and answers at `url`. When the look-ups were flushed since the place was taken, the places are
   * counted again: throws `quota_exceeded` when others have taken it.
   */
  publish(session: Session, url: string, repl: ReplRecord, place: Place, limits: Limits): Promise<void>;
  setState(session: Session, state: SessionState, reason?: string): Promise<void>;
  /**
   * The session lives, and this is what its runner reports; `record` is what the registry says since. False when it
   * is no longer the REPL's.
   */
  touch(session: Session, report: RunnerReport, record?: ReplRecord): Promise<boolean>;
  /** Frees the session's place, if it is still this session's. `failure` is what the owner should read. */
  withdraw(session: Session, outcome: { readonly repl?: ReplRecord; readonly failure?: string }): Promise<void>;
  /** Removes every key of a REPL. */
  forget(userId: string, replId: ReplId): Promise<void>;
  /** Newest first. The same array again as long as nothing has changed. */
  list(userId: string): Promise<readonly Repl[]>;
  activeSession(userId: string, replId: ReplId): Promise<KnownSession | undefined>;
  /** What the runner of each session has last reported, in the order asked for; undefined where nothing is known. */
  reports(sessions: readonly Session[]): Promise<readonly (SessionReport | undefined)[]>;
  /** Every session that is taken for one that runs, some at a time. */
  marks(): AsyncIterable<readonly MarkedSession[]>;
  check(): Promise<void>;
}

export interface RunnerReport {
  readonly connections: number;
  readonly lastActivityAt: string;
  readonly save?: SaveStatus | undefined;
}

export interface MarkedSession extends Session {
  readonly startedAt?: string;
}

/** A runner's last report, and when it came. */
export interface SessionReport extends Pick<RunnerReport, "connections" | "lastActivityAt"> {
  readonly reportedAt: string;
}

/** Reads a user's REPLs where they cannot be lost: the registry and the cluster. */
export type ReadTruth = (userId: string) => Promise<KnownRepl[]>;

/** What is remembered of tokens for a while; what it forgets is looked up where it cannot be lost. */
export interface TokenCache {
  /** Whether a token was good when it was last asked for, and a revocation would have been heard since. */
  isKnownGood(tokenId: string): boolean;
  get(tokenId: string): Promise<"good" | "revoked" | undefined>;
  /** `good` never takes the place of `revoked`. */
  note(tokenId: string, state: "good" | "revoked", seconds: number): Promise<void>;
}

/** An event of a REPL with its place in the REPL's log. */
export interface LoggedEvent {
  /** Later events have greater ids, of the form `milliseconds-number`. */
  readonly id: string;
  readonly event: ReplEvent;
}

export interface EventStream extends AsyncIterable<LoggedEvent> {
  /** The id after which the stream begins. */
  readonly position: string;
}

/** What happens to REPLs, told to whoever follows one. The newest few hundred events of each are kept for a day. */
export interface ReplEvents {
  /** Nobody waits for it, and a failure is not one of the work that is told of. */
  publish(replId: ReplId, event: ReplEvent): void;
  /**
   * What came after `lastEventId`, then what comes; without it what has come of a create, open, close or deletion
   * that is under way, then what comes. Ends with the signal, and when the listener is too slow. Throws `unavailable`.
   */
  follow(replId: ReplId, lastEventId: string | undefined, signal: AbortSignal): Promise<EventStream>;
}

/** Keys with which a session's restore and save containers reach their REPL's objects. */
export interface SyncCredentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

export interface Credentials {
  /** How long keys are good; they are renewed in time, and before a last save. Absent for those that stay good. */
  readonly lifetimeSeconds?: number;
  issue(repl: Pick<ReplRecord, "id" | "owner">): Promise<SyncCredentials>;
}
