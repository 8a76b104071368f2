import { commitSave, type SavePlace } from "../domain/commit-save.ts";
import { ReplError } from "../domain/errors.ts";
import { readSave } from "../domain/read-save.ts";
import type { Session } from "../domain/repl.ts";
import type { FileEntry, SaveEntry, SaveKind, SaveManifest, SaveReport } from "../domain/save.ts";
import type { BigFiles } from "./big-files.ts";
import { bootId } from "./boot.ts";
import { bigFilesGone, filesGone, withFilesGone } from "./gone-files.ts";
import {
  knownFiles,
  readKnownTree,
  readLooseUploads,
  writeKnownTree,
  writeLooseUploads,
  type KnownFile,
  type KnownTree,
} from "./known-tree.ts";
import { saveNodes, type SaveNodesOptions } from "./save-nodes.ts";
import { isSameSave, notSavedOf, pathsWithoutContent, reportOf } from "./save-report.ts";
import { stampOf, walk, type Tree } from "./walk.ts";

export interface SaveOptions {
  readonly root: string;
  /** Where this pod's sync containers keep what they know of the files. */
  readonly knownFolder: string;
  /** Names this pod among those of the session. */
  readonly pod: string;
  readonly kind: SaveKind;
  readonly concurrentFiles?: number;
  /** A save that is to make way gives up; nothing of it is visible then. */
  readonly mustGiveUp?: () => boolean;
  /** What all holes of sparse files may be together: a save stores them as the zeros that programs read. */
  readonly maximumHoleBytes?: number | undefined;
  /** Where big files are uploaded beside the others, over several saves; without it a save waits for them. */
  readonly bigFiles?: BigFiles;
  /** The machine's start in which the workspace was restored, for a pod that has lost what it knew. */
  readonly restoredInBoot?: string | undefined;
  /** Hears what is to be saved, before it is. */
  readonly onUnsaved?: (unsaved: { readonly files: number; readonly bytes: number }) => void;
}

const standardConcurrentFiles = 24;
/** As many zeros as an open can fetch in its time. */
const standardMaximumHoleBytes = 16 * 2 ** 30;
/** A tree that changes while it is saved is walked again for what changed. */
const maximumPasses = 3;

/**
 * Saves a workspace: stores what changed, writes the manifest, reads it back and moves the record's pointer to
 * it by a conditional write. Until that last write the save before is the newest one. A workspace that equals
 * the newest save is not saved again. Throws `conflict` when the session is not the REPL's writer (any more).
 * May be repeated: what an attempt has stored the next one does not store again.
 */
export async function saveWorkspace(place: SavePlace, session: Session, options: SaveOptions): Promise<SaveReport> {
  const { root, knownFolder, pod, kind } = options;
  const record = await place.pointer.read({ session, pod });
  const { lastSave } = record;
  const known = readKnownTree(knownFolder);
  const isCurrent = known !== undefined && known.save.version === lastSave?.version;
  const readAtNs = nanosecondsNow();
  const tree = walk(root);
  // What could not be read may be readable now: the last save of a session looks once more.
  if (isCurrent && lastSave && known.isUnchanged(tree) && !(kind === "close" && known.notSaved)) {
    tree.close();
    return reportOf(lastSave, tree, { uploads: [], deleted: 0 }, { notSaved: known.notSaved });
  }
  const uploads: FileEntry[] = [];
  let before: SaveManifest | undefined;
  const readBefore = async () =>
    lastSave ? (before ??= await readSave(place.store, session.replId, lastSave)) : undefined;
  const nodesOptions: SaveNodesOptions = {
    store: place.store,
    record,
    loose: readLooseUploads(knownFolder),
    onUpload: (entry) => void uploads.push(entry),
    giveUp: () => giveUpIfTold(options),
    isAfterCrash: isAfterCrash(known, options),
    concurrentFiles: options.concurrentFiles ?? standardConcurrentFiles,
    maximumHoleBytes: options.maximumHoleBytes ?? standardMaximumHoleBytes,
    bigFiles: options.bigFiles,
    readBefore: async () => (await readBefore())?.entries ?? [],
  };
  try {
    const files = (isCurrent ? known.files() : undefined) ?? filesOf((await readBefore())?.entries ?? []);
    options.onUnsaved?.(changesIn(tree, files));
    const { saved, inMotion, deleted, ...seen } = await saveInPasses(root, { tree, files, readAtNs }, nodesOptions);
    giveUpIfTold(options);
    const { entries, underWay } = saved;
    const notSaved = notSavedOf(saved.notSaved);
    const isSame =
      lastSave && uploads.length + deleted + inMotion.length === 0 && isSameSave(await readBefore(), entries, notSaved);
    const summary = isSame
      ? lastSave
      : await commitSave(place, record, entries, {
          writer: { session, pod },
          kind,
          leftOut: pathsWithoutContent(saved.tree),
          inMotion: [...new Set([...inMotion, ...underWay.map(({ path }) => path)])],
          ...(notSaved ? { notSaved } : {}),
        });
    writeKnownTree(knownFolder, summary, saved.tree, entries, seen.readAtNs, saved.notes, notSaved);
    return reportOf(summary, saved.tree, { uploads, deleted }, { inMotion, notSaved, underWay });
  } catch (error) {
    writeLooseUploads(knownFolder, [...uploads, ...(options.bigFiles?.takeUploads() ?? [])]);
    throw error;
  } finally {
    tree.close();
  }
}

interface SeenTree {
  readonly tree: Tree;
  /** What is known of its files. */
  readonly files: ReadonlyMap<string, KnownFile>;
  /** Before the first of its files was read. */
  readonly readAtNs: bigint;
}

/** Stores what is new of a tree, and hides what is gone, again and again until the tree rests or that was done often enough. */
async function saveInPasses(root: string, first: SeenTree, options: SaveNodesOptions) {
  const { store, giveUp, bigFiles, readBefore } = options;
  let { tree, files, readAtNs } = first;
  let deleted = 0;

  async function savePass(of: Tree, known: SeenTree["files"]) {
    giveUp();
    const gone = filesGone(of.nodes, known);
    const big = bigFiles ? bigFilesGone(of.nodes, gone) : new Set<FileEntry>();
    // A key that must make room comes first: some stores cannot hold "a" and "a/b" at once.
    await hide(gone.filter((entry) => !big.has(entry)));
    const saved = await saveNodes(of, known, options);
    if (big.size === 0) return saved;
    const held = new Set(saved.entries.map((entry) => (entry.type === "file" ? entry.sha256 : "")));
    const kept = saved.underWay.length > 0 ? [...big].filter(({ sha256 }) => !held.has(sha256)) : [];
    await hide([...big].filter((entry) => !kept.includes(entry)));
    return kept.length === 0 ? saved : { ...saved, entries: withFilesGone(saved.entries, kept, await readBefore()) };
  }

  async function hide(entries: readonly FileEntry[]) {
    await store.remove(entries.map(({ key }) => key));
    deleted += entries.length;
  }

  for (let pass = 1; ; pass++) {
    const saved = await savePass(tree, files).finally(tree.close);
    // What was uploaded beside the others may have been read before this pass began.
    if (bigFiles && bigFiles.count > 0) readAtNs = bigFiles.startedAtNs;
    const readAgainAtNs = nanosecondsNow();
    const again = walk(root);
    const inMotion = again.stamp === saved.tree.stamp ? [] : pathsThatDiffer(saved.tree, again);
    if (pass === maximumPasses || inMotion.every((path) => bigFiles?.has(path))) {
      again.close();
      return { saved, inMotion, deleted, readAtNs };
    }
    files = knownFiles(saved.tree, saved.entries, readAtNs, saved.notes);
    [readAtNs, tree] = [readAgainAtNs, again];
  }
}

/** True when the tree on disk is that of the newest save that this pod knows of; nobody is asked. */
export function isSaved({ root, knownFolder }: Pick<SaveOptions, "root" | "knownFolder">): boolean {
  const known = readKnownTree(knownFolder);
  if (!known) return false;
  const tree = walk(root);
  tree.close();
  return known.isUnchanged(tree);
}

function giveUpIfTold({ mustGiveUp }: SaveOptions): void {
  if (mustGiveUp?.()) throw new ReplError("unavailable", "told to make way for another save");
}

/** Whether the machine went down, and came back with what its disk had, since the tree was seen last. */
function isAfterCrash(known: KnownTree | undefined, { restoredInBoot }: SaveOptions): boolean {
  const boot = known?.boot ?? restoredInBoot;
  return boot !== undefined && boot !== bootId();
}

function filesOf(entries: readonly SaveEntry[]): Map<string, KnownFile> {
  return new Map(entries.flatMap((entry) => (entry.type === "file" ? [[entry.path, { entry }] as const] : [])));
}

function stampsOf({ nodes }: Tree): Map<string, string> {
  return new Map(nodes.map((node) => [node.path, stampOf(node)]));
}

function pathsThatDiffer(a: Tree, b: Tree): string[] {
  const [before, after] = [stampsOf(a), stampsOf(b)];
  return [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path));
}

function changesIn(tree: Tree, files: ReadonlyMap<string, KnownFile>): { files: number; bytes: number } {
  const changed = tree.nodes
    .filter((node) => node.type === "file")
    .filter((node) => files.get(node.path)?.stamp !== stampOf(node));
  return { files: changed.length, bytes: changed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

function nanosecondsNow(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
