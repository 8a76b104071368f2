import { signal, type Signal } from "@preact/signals";
import { reasonOf } from "../words.ts";
import type { Connection } from "./connection.ts";
import { ConnectionLost, openDocument, type Document, type DocumentState, type Draft } from "./document.ts";
import { createEditorState, type TabEditor } from "./editor-state.ts";
import { keptInWindow } from "./kept.ts";
import { languageOf } from "./languages.ts";

interface TabCommon {
  readonly path: string;
}

export interface TextTab extends TabCommon {
  readonly kind: "text";
  readonly state: Signal<DocumentState>;
  readonly document: Document;
  readonly editor: TabEditor;
}

/** What no editor can show: binary, too large, gone. */
export interface OtherTab extends TabCommon {
  readonly kind: "other";
  readonly reason: string;
}

export type Tab = TextTab | OtherTab;

/** What a reload brings back. */
interface Kept {
  readonly active?: string | undefined;
  readonly tabs: readonly { readonly path: string; readonly draft?: Draft | undefined }[];
}

const finishWithinMs = 10_000;

export type Tabs = ReturnType<typeof createTabs>;

/** The files that are open in the editor. */
export function createTabs(connection: Connection, replId: string) {
  const all = signal<readonly Tab[]>([]);
  const activePath = signal<string | undefined>(undefined);
  const opening = new Map<string, Promise<void>>();
  const kept = keptInWindow<Kept>("tabs", replId);
  const drafts = new Map<string, Draft>();
  let isReopened = false;
  let chosenFrom: Element | null = null;

  const find = (path: string) => all.value.find((tab) => tab.path === path);

  async function make(path: string): Promise<Tab> {
    const state = signal<DocumentState>({ kind: "saved" });
    const ask = async <Data>(event: string, data: object) => connection.ask<Data>(event, { path, ...data });
    let editor: TabEditor | undefined;
    // While the text is read, which is shown without waiting for its colors.
    const language = languageOf(path);
    try {
      const document = await openDocument({
        file: {
          read: async () => (await ask<{ content: string }>("fetchContent", {})).content,
          patch: async (patch) => (await ask<{ crc32: number }>("updateContent", { patch })).crc32,
          create: async () => void (await ask("createFile", {})),
        },
        draft: drafts.get(path),
        onTheirs: (changes) => editor?.take(changes),
        // With each key press it is the same.
        onState: (now) => {
          if (JSON.stringify(now) !== JSON.stringify(state.peek())) state.value = now;
        },
      });
      drafts.delete(path);
      editor = createEditorState(path, document, language);
      return { kind: "text", path, state, document, editor };
    } catch (error) {
      if (error instanceof ConnectionLost) throw error;
      return { kind: "other", path, reason: reasonOf(error) };
    }
  }

  function close(path: string): void {
    const tab = find(path);
    if (tab?.kind === "text") tab.document.close();
    const index = all.value.findIndex((one) => one.path === path);
    all.value = all.value.filter((one) => one.path !== path);
    if (activePath.value === path) activePath.value = all.value[Math.min(index, all.value.length - 1)]?.path;
  }

  /** Keeps what is open, and what is typed and in no file yet, for the next time that this window shows the room. */
  function keep(): void {
    if (!isReopened) return;
    const tabs = all.value.map((tab) => ({
      path: tab.path,
      draft: tab.kind === "text" ? tab.document.draft() : undefined,
    }));
    // What could not be opened again yet is kept too.
    for (const [path, draft] of drafts) if (!find(path)) tabs.push({ path, draft });
    const active = activePath.value;
    try {
      kept.write({ active, tabs });
    } catch {
      // More than a browser takes; it has asked before it lets people go.
      kept.write({ active, tabs: tabs.map(({ path }) => ({ path })) });
    }
  }
  const keepWhenHidden = () => {
    if (document.visibilityState === "hidden") keep();
  };
  addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", keepWhenHidden);

  connection.on("fileChanged", ({ path }: { path: string }) => {
    for (const tab of all.value)
      if (tab.kind === "text" && (path === "" || tab.path === path || tab.path.startsWith(`${path}/`)))
        void tab.document.look();
  });

  return {
    all,
    activePath,
    find,

    /** Shows a file because somebody has asked for it now: the keyboard goes with it, unless it is elsewhere by then. */
    async choose(path: string): Promise<void> {
      chosenFrom = document.activeElement;
      await this.open(path);
    },

    /** Whether the text that is shown now gets the keyboard: nobody who types elsewhere loses it. */
    takesKeyboard(): boolean {
      const focused = document.activeElement;
      const isFree = focused === null || focused === document.body || focused === chosenFrom;
      chosenFrom = null;
      return isFree;
    },

    /** Shows a file, which is read the first time. */
    async open(path: string): Promise<void> {
      activePath.value = path;
      if (find(path)?.kind === "text") return;
      const known = opening.get(path);
      if (known) return known;
      const work = make(path)
        .then((tab) => {
          const before = find(path);
          all.value = before ? all.value.map((one) => (one === before ? tab : one)) : [...all.value, tab];
        })
        .catch((error: unknown) => {
          if (activePath.value === path) activePath.value = all.value.at(-1)?.path;
          throw error;
        })
        .finally(() => opening.delete(path));
      opening.set(path, work);
      return work;
    },

    /** Closes a tab; false when something in it is not in its file. */
    close(path: string, isForced = false): boolean {
      const tab = find(path);
      if (tab?.kind === "text" && tab.document.isAhead() && !isForced) {
        void tab.document.save();
        return false;
      }
      close(path);
      return true;
    },

    /** A file or folder was renamed here: its tabs follow. */
    async renamed(from: string, to: string): Promise<void> {
      const moved = all.value.filter(({ path }) => path === from || path.startsWith(`${from}/`));
      const active = activePath.value;
      for (const { path } of moved) {
        close(path);
        await this.open(to + path.slice(from.length));
      }
      if (active && !moved.some(({ path }) => path === active)) activePath.value = active;
    },

    removed(path: string): void {
      for (const tab of all.value) if (tab.path === path || tab.path.startsWith(`${path}/`)) close(tab.path);
    },

    /** The connection is back. */
    lookAtAll(): void {
      for (const tab of all.value) if (tab.kind === "text") void tab.document.look();
    },

    /** Resolves when all that was typed is in the files. Throws an Error that names the file which lacks some. */
    async finishAll(withinMs: number = finishWithinMs): Promise<void> {
      for (const tab of all.value) {
        if (tab.kind !== "text") continue;
        await tab.document.finish(withinMs).catch((error: unknown) => {
          throw new Error(`${tab.path} lacks what you typed last: ${reasonOf(error)}.`);
        });
      }
    },

    /** Opens what was open when the page was left; false when nothing was. */
    async reopen(): Promise<boolean> {
      const { active, tabs } = kept.read() ?? { tabs: [] };
      // Those that are open again before the connection broke have taken theirs.
      for (const { path, draft } of tabs) if (draft && !find(path)) drafts.set(path, draft);
      isReopened = true;
      for (const { path } of tabs) await this.open(path);
      kept.forget();
      if (active !== undefined && find(active)) activePath.value = active;
      return all.value.length > 0;
    },

    /** Nothing more is shown. */
    dispose(): void {
      removeEventListener("pagehide", keep);
      document.removeEventListener("visibilitychange", keepWhenHidden);
      for (const tab of all.value) if (tab.kind === "text") tab.document.close();
    },

    isAllSaved: () => all.value.every((tab) => tab.kind !== "text" || tab.state.value.kind === "saved"),
  };
}
