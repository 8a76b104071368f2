import { ChangeSet, type Text } from "@codemirror/state";
import { reasonOf } from "../words.ts";
import { changesBetween, contentOf, crc32, firstPart, linesOf, overlaps, patchOf, type Lines } from "./changes.ts";

/** The file behind a document. Each call fails with ConnectionLost when the answer did not come. */
export interface DocumentFile {
  read(): Promise<string>;
  /** Returns the CRC-32 of what the file is then; any failure but ConnectionLost means that nothing was changed. */
  patch(patch: string): Promise<number>;
  /** Makes it anew where it is gone. */
  create(): Promise<void>;
}

/** Nobody knows whether what was asked for has been done. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";

  constructor() {
    super("The connection was lost.");
  }
}

export type DocumentState =
  | { readonly kind: "saved" }
  | { readonly kind: "unsaved"; readonly problem?: string }
  /** Somebody else has changed the very place that was edited here, or the file is again what it was before that. */
  | { readonly kind: "conflict"; readonly theirs: string; readonly isOlder?: true }
  /** Somebody has removed the file. */
  | { readonly kind: "gone" };

/** What is typed and in no file yet, to go on with after a reload. */
export interface Draft {
  /** The file as it was known to be. */
  readonly base: string;
  /** With what was on its way to it. */
  readonly sent?: string;
  /** With everything. */
  readonly text: string;
}

interface DocumentOptions {
  readonly file: DocumentFile;
  readonly draft?: Draft | undefined;
  /** Others' changes, for the editor to make at once. */
  readonly onTheirs: (changes: ChangeSet) => void;
  readonly onState: (state: DocumentState) => void;
  /** Typing goes to the file this long after the first key press that it lacks. */
  readonly saveAfterMs?: number;
}

const retryAfterMs = 2000;
const maximumEarlier = 10_000;

export type Document = Awaited<ReturnType<typeof openDocument>>;

/**
 * A file that is edited here while others may change it too. What is typed is on its way to the file within moments;
 * changes of others are merged in where they touch other places, and are a conflict to be solved where not.
 */
export async function openDocument({ file, draft, onTheirs, onState, saveAfterMs = 150 }: DocumentOptions) {
  /** The file as it is known to be. */
  let disk: Lines = linesOf(draft?.base ?? (await file.read()));
  /** On its way to the file; when the connection was lost meanwhile, the file will tell whether it arrived. */
  let sent: ChangeSet | undefined;
  /** Typed since: from the file with `sent` in it to what the editor shows. */
  let typed = ChangeSet.empty(disk.text.length);
  if (draft) {
    const onItsWay = draft.sent === undefined ? disk.text : linesOf(draft.sent).text;
    if (draft.sent !== undefined) sent = changesBetween(disk.text, onItsWay);
    typed = changesBetween(onItsWay, linesOf(draft.text).text);
  }
  let conflict: Lines | undefined;
  /** What the file was before, by checksum: its container may be lost, and begin with one of these. */
  const earlier = new Set<number>();
  let isOlder = false;
  let isGone = false;
  let problem: string | undefined;
  let isSending = false;
  let isLooking = false;
  let mustLook = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;
  /** Waiting for what comes of a change. */
  const waiting = new Set<() => void>();

  const shown = (): Text => typed.apply(sent ? sent.apply(disk.text) : disk.text);
  const isAhead = (): boolean => sent !== undefined || !typed.empty;

  function stateNow(): DocumentState {
    if (isGone) return { kind: "gone" };
    if (conflict) return { kind: "conflict", theirs: contentOf(conflict), ...(isOlder ? { isOlder } : {}) };
    if (isAhead()) return { kind: "unsaved", ...(problem ? { problem } : {}) };
    return { kind: "saved" };
  }
  function tell(): void {
    onState(stateNow());
    for (const wake of waiting) wake();
    waiting.clear();
  }

  function saveSoon(afterMs: number): void {
    if (timer !== undefined || isClosed) return;
    timer = setTimeout(() => {
      timer = undefined;
      void save();
    }, afterMs);
  }

  function noteEarlier(): void {
    earlier.add(crc32(contentOf(disk)));
    for (const oldest of earlier) if (earlier.size > maximumEarlier) earlier.delete(oldest);
  }

  async function save(): Promise<void> {
    if (sent || isLooking || typed.empty || conflict || isGone || isClosed) return;
    const [part, rest] = firstPart(typed);
    sent = part;
    isSending = true;
    noteEarlier();
    typed = rest ?? ChangeSet.empty(part.newLength);
    try {
      const checksum = await file.patch(patchOf(disk, part));
      disk = { ...disk, text: part.apply(disk.text) };
      sent = undefined;
      problem = undefined;
      if (checksum !== crc32(contentOf(disk))) mustLook = true;
    } catch (error) {
      if (error instanceof ConnectionLost) return tell();
      typed = part.compose(typed);
      sent = undefined;
      problem = reasonOf(error);
      mustLook = true;
    } finally {
      isSending = false;
    }
    tell();
    if (mustLook) return look();
    if (!typed.empty) saveSoon(0);
  }

  async function look(): Promise<void> {
    if (isClosed) return;
    if (isLooking || isSending) {
      mustLook = true;
      return;
    }
    isLooking = true;
    mustLook = false;
    try {
      take(linesOf(await file.read()));
      isGone = false;
    } catch (error) {
      if (error instanceof ConnectionLost) return;
      const reason = reasonOf(error);
      if (/no such|not exist|does not exist/i.test(reason)) isGone = true;
      else problem = reason;
    } finally {
      isLooking = false;
      tell();
    }
    if (mustLook) return look();
    if (!typed.empty) saveSoon(problem ? retryAfterMs : 0);
  }

  /** Makes what the file is now the ground that is edited on. */
  function take(now: Lines): void {
    if (sent) {
      const ground = sent.apply(disk.text);
      // It had arrived when nothing of it differs now; else it is still to be done.
      if (overlaps(changesBetween(ground, now.text), sent.invertedDesc)) typed = sent.compose(typed);
      else disk = { ...disk, text: ground };
      sent = undefined;
    }
    if (now.text.eq(disk.text)) {
      disk = now;
      if (!isOlder) conflict = undefined;
      return;
    }
    // Both came to the same, for example because a conflict was solved on the other side.
    if (now.text.eq(shown())) {
      typed = ChangeSet.empty(now.text.length);
      disk = now;
      conflict = undefined;
      isOlder = false;
      return;
    }
    // A question that was put stays until it is answered.
    isOlder ||= earlier.has(crc32(contentOf(now)));
    if (isOlder) {
      typed = changesBetween(now.text, shown());
      [disk, conflict] = [now, now];
      return;
    }
    // What was refused may have been so because of this.
    problem = undefined;
    const theirs = changesBetween(disk.text, now.text);
    if (!typed.empty && overlaps(theirs, typed)) {
      conflict = now;
      return;
    }
    conflict = undefined;
    noteEarlier();
    const forEditor = theirs.map(typed);
    typed = typed.map(theirs, true);
    disk = now;
    onTheirs(forEditor);
  }

  if (draft) await look();

  return {
    /** What the editor shows first. */
    text: shown(),
    /** What ends its lines. */
    lineEnding: () => disk.ending,
    state: stateNow,
    /** Whether something was typed that is in no file. */
    isAhead,

    draft(): Draft | undefined {
      if (!isAhead()) return undefined;
      const onItsWay = sent && contentOf({ ...disk, text: sent.apply(disk.text) });
      const text = contentOf({ ...disk, text: shown() });
      return { base: contentOf(disk), ...(onItsWay === undefined ? {} : { sent: onItsWay }), text };
    },

    /** The editor has changed what it shows. */
    edit(changes: ChangeSet): void {
      typed = typed.compose(changes);
      tell();
      saveSoon(saveAfterMs);
    },

    /** Looks at the file, because somebody may have changed it or because the connection is back. */
    look,

    /** Begins to write what is not written yet. */
    save,

    /**
     * Resolves when everything that was typed is in the file. Throws an Error that says why it is not; with all the
     * time there is, only for a conflict or because the file is gone.
     */
    async finish(withinMs: number): Promise<void> {
      let isLate = false;
      const giveUp = () => {
        isLate = true;
        tell();
      };
      const patience = withinMs < Infinity ? setTimeout(giveUp, withinMs) : undefined;
      try {
        await save();
        while (isAhead()) {
          if (isOlder) throw new Error("the file is again what it was before");
          if (conflict) throw new Error("it was changed elsewhere too, in the same lines");
          if (isGone) throw new Error("it was removed elsewhere");
          if (problem && withinMs < Infinity) throw new Error(problem);
          if (isLate) throw new Error("the container does not answer");
          await new Promise<void>((resolve) => waiting.add(resolve));
        }
      } finally {
        clearTimeout(patience);
      }
    },

    /** Solves a conflict, or a file that is gone, in favour of what is shown here. */
    async keepMine(): Promise<void> {
      if (isGone) {
        await file.create();
        const text = shown();
        disk = linesOf("");
        sent = undefined;
        typed = changesBetween(disk.text, text);
        isGone = false;
      } else if (conflict) {
        const text = shown();
        disk = conflict;
        typed = changesBetween(disk.text, text);
        conflict = undefined;
        isOlder = false;
      }
      tell();
      await save();
    },

    /** Solves a conflict in favour of the file. */
    takeTheirs(): void {
      if (!conflict) return;
      const changes = changesBetween(shown(), conflict.text);
      disk = conflict;
      conflict = undefined;
      isOlder = false;
      typed = ChangeSet.empty(disk.text.length);
      onTheirs(changes);
      tell();
    },

    close(): void {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
