import { EditorView } from "@codemirror/view";
import { useEffect, useRef, useState } from "preact/hooks";
import { Notice } from "../notice.tsx";
import { sizeInWords } from "../words.ts";
import { Dialog } from "../dialog.tsx";
import type { Tab, Tabs, TextTab } from "./tabs.ts";
import { nameOf, type Workspace } from "./workspace.ts";

interface EditorProps {
  readonly tabs: Tabs;
  readonly workspace: Workspace;
}

/** Tabs of open files, and what is in the one in front. */
export function Editor({ tabs, workspace }: EditorProps) {
  const [unsaved, setUnsaved] = useState<string | undefined>(undefined);
  const active = tabs.activePath.value;
  const shown = active === undefined ? undefined : tabs.all.value.find(({ path }) => path === active);
  const close = (path: string) => {
    if (!tabs.close(path)) setUnsaved(path);
  };
  return (
    <section class="panel editor" aria-label="Editor">
      <div class="tabs" role="group" aria-label="Open files">
        {tabs.all.value.map((tab) => (
          <span
            key={tab.path}
            class={`tab ${tab === shown ? "active" : ""}`}
            ref={(element) => {
              if (tab === shown) element?.scrollIntoView({ block: "nearest", inline: "nearest" });
            }}
          >
            <button
              type="button"
              aria-current={tab === shown ? "true" : undefined}
              title={tab.path}
              onClick={() => void tabs.choose(tab.path)}
              onAuxClick={({ button }) => button === 1 && close(tab.path)}
            >
              <bdi>{nameOf(tab.path)}</bdi>
              {tab.kind === "text" && <TabMark tab={tab} />}
            </button>
            <button type="button" class="x" aria-label={`Close ${tab.path}`} onClick={() => close(tab.path)}>
              ×
            </button>
          </span>
        ))}
      </div>
      {shown?.kind === "text" && <TextEditor key={shown.path} tab={shown} tabs={tabs} />}
      {shown?.kind === "other" && <OtherFile key={shown.path} tab={shown} workspace={workspace} />}
      {!shown && <p class="empty">{active ? `Opening ${active} …` : "Choose a file to see it here."}</p>}
      {unsaved !== undefined && (
        <Dialog title="Not everything is in the file yet" onClose={() => setUnsaved(undefined)}>
          <p>
            What was typed in <bdi>{unsaved}</bdi> last is not saved yet. It is being tried again.
          </p>
          <div class="row">
            <button type="button" onClick={() => setUnsaved(undefined)} autofocus>
              Keep it open
            </button>
            <button
              type="button"
              class="danger"
              onClick={() => {
                tabs.close(unsaved, true);
                setUnsaved(undefined);
              }}
            >
              Close and lose it
            </button>
          </div>
        </Dialog>
      )}
    </section>
  );
}

function TabMark({ tab }: { readonly tab: TextTab }) {
  const { kind } = tab.state.value;
  const words = { saved: "", unsaved: "not saved yet", conflict: "changed elsewhere too", gone: "removed elsewhere" };
  return kind === "saved" ? null : (
    <span class={`mark ${kind}`} role="img" aria-label={words[kind]} title={words[kind]}>
      {kind === "unsaved" ? "●" : "!"}
    </span>
  );
}

function TextEditor({ tab, tabs }: { readonly tab: TextTab; readonly tabs: Tabs }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const view = new EditorView({ parent: place.current as HTMLElement });
    const takeOut = tab.editor.show(view);
    if (tabs.takesKeyboard()) view.focus();
    return () => {
      takeOut();
      view.destroy();
    };
  }, [tab]);
  return (
    <>
      <Trouble tab={tab} />
      <div class="text" ref={place} />
    </>
  );
}

function Trouble({ tab }: { readonly tab: TextTab }) {
  const state = tab.state.value;
  const [isComparing, setComparing] = useState(false);
  if (state.kind === "unsaved" && state.problem)
    return <Notice kind="warning">Not saved yet, and being tried again: {state.problem}</Notice>;
  if (state.kind === "gone")
    return (
      <Notice kind="warning">
        This file was removed elsewhere.{" "}
        <button type="button" onClick={() => void tab.document.keepMine()}>
          Write it again
        </button>
      </Notice>
    );
  if (state.kind !== "conflict") return null;
  return (
    <Notice kind="warning">
      {state.isOlder
        ? "The file is again what it was before your last changes: its container may have been lost with them."
        : "The lines that you changed were changed elsewhere too."}{" "}
      <button type="button" onClick={() => setComparing(true)}>
        Show the other text
      </button>{" "}
      <button type="button" onClick={() => void tab.document.keepMine()}>
        Keep mine
      </button>{" "}
      <button type="button" onClick={() => tab.document.takeTheirs()}>
        Take the other
      </button>
      {isComparing && (
        <Dialog title={`${nameOf(tab.path)}, as it is in the file`} onClose={() => setComparing(false)} isWide>
          <pre class="compare" tabIndex={0}>
            {state.theirs}
          </pre>
          <button type="button" onClick={() => setComparing(false)} autofocus>
            Back
          </button>
        </Dialog>
      )}
    </Notice>
  );
}

const pictures = /\.(?:png|jpe?g|gif|webp|avif|svg|ico|bmp)$/i;
const largestPicture = 20_000_000;

/** A file that is no text, or too much of it. */
function OtherFile({ tab, workspace }: { readonly tab: Tab & { kind: "other" }; readonly workspace: Workspace }) {
  const [size, setSize] = useState<number | undefined>(undefined);
  const [picture, setPicture] = useState<string | undefined>(undefined);
  useEffect(() => {
    let url: string | undefined;
    let isGone = false;
    void (async () => {
      const bytes = await workspace.sizeOf(tab.path);
      if (isGone) return;
      setSize(bytes);
      if (!pictures.test(tab.path) || bytes > largestPicture) return;
      const blob = await workspace.download(tab.path);
      const type = tab.path.toLowerCase().endsWith(".svg") ? "image/svg+xml" : "";
      url = URL.createObjectURL(new Blob([blob], { type }));
      if (isGone) URL.revokeObjectURL(url);
      else setPicture(url);
    })().catch(() => {});
    return () => {
      isGone = true;
      if (url) URL.revokeObjectURL(url);
    };
  }, [tab.path]);
  return (
    <div class="other-file">
      {picture && <img src={picture} alt={nameOf(tab.path)} />}
      <p>{tab.reason}</p>
      <a class="button" href={workspace.downloadUrl(tab.path)} download={nameOf(tab.path)}>
        Download{size === undefined ? "" : ` (${sizeInWords(size)})`}
      </a>
    </div>
  );
}
