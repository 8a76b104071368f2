import { useRef, useState } from "preact/hooks";
import { ConfirmDialog } from "../dialog.tsx";
import { useAttempt } from "../hooks.ts";
import { Notice } from "../notice.tsx";
import { PathDialog } from "./file-dialogs.tsx";
import type { Tabs } from "./tabs.ts";
import { useRowsInView } from "./rows-in-view.ts";
import { join, nameOf, parentOf, type Node, type Workspace } from "./workspace.ts";

interface FileTreeProps {
  readonly workspace: Workspace;
  readonly tabs: Tabs;
}

type Asking =
  | { readonly kind: "file" | "folder" | "rename"; readonly title: string; readonly first: string }
  | { readonly kind: "delete"; readonly node: Node }
  | { readonly kind: "replace"; readonly path: string; readonly content: Blob };

/** The files, by mouse or by keyboard as trees are used: arrows, Enter, F2, Delete. */
export function FileTree({ workspace, tabs }: FileTreeProps) {
  const nodes = workspace.visible();
  const [selectedPath, select] = useState<string | undefined>(undefined);
  const [asking, setAsking] = useState<Asking | undefined>(undefined);
  const { failure, attempt, dismiss } = useAttempt();
  const [isUploading, setUploading] = useState(false);
  const tree = useRef<HTMLUListElement>(null);
  const { from, to, before, after, reveal } = useRowsInView(tree, nodes.length);
  const picker = useRef<HTMLInputElement>(null);
  const selectedIndex = nodes.findIndex(({ path }) => path === selectedPath);
  const selected = nodes[selectedIndex];
  /** Which of the drawn rows is come to by Tab. */
  const tabStop = selectedIndex >= from && selectedIndex < to ? selectedIndex - from : 0;
  const folder = selected ? (selected.isFolder ? selected.path : parentOf(selected.path)) : "";

  function choose(node: Node): void {
    select(node.path);
    if (node.isFolder) workspace.toggle(node.path);
    else void attempt(() => tabs.choose(node.path));
  }

  function focus(node: Node | undefined): void {
    if (!node) return;
    select(node.path);
    reveal(nodes.indexOf(node));
  }

  function onKeyDown(event: KeyboardEvent, node: Node, index: number): void {
    const isOpen = node.isFolder && workspace.expanded.value.has(node.path);
    const keys: Record<string, () => void> = {
      ArrowDown: () => focus(nodes[index + 1]),
      ArrowUp: () => focus(nodes[index - 1]),
      Home: () => focus(nodes[0]),
      End: () => focus(nodes.at(-1)),
      ArrowRight: () => (node.isFolder && !isOpen ? workspace.toggle(node.path, true) : focus(nodes[index + 1])),
      ArrowLeft: () =>
        isOpen ? workspace.toggle(node.path, false) : focus(nodes.find(({ path }) => path === parentOf(node.path))),
      Enter: () => choose(node),
      " ": () => choose(node),
      F2: () => setAsking({ kind: "rename", title: `Rename or move ${node.path}`, first: node.path }),
      Delete: () => setAsking({ kind: "delete", node }),
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  async function upload(files: readonly File[]): Promise<void> {
    setUploading(true);
    for (const file of files) {
      const path = join(folder, file.name);
      await attempt(async () => {
        if ((await workspace.upload(path, file, false)) === "exists")
          setAsking({ kind: "replace", path, content: file });
      });
    }
    setUploading(false);
  }

  async function answer(path: string): Promise<void> {
    const clean = path.trim().replace(/^\/+|\/+$/g, "");
    if (!asking || !("first" in asking) || clean === "") return;
    if (asking.kind === "folder") await workspace.createFolder(clean);
    else if (asking.kind === "file") {
      await workspace.createFile(clean);
      await tabs.choose(clean);
    } else if (asking.kind === "rename" && clean !== asking.first) {
      await tabs.finishAll();
      await workspace.rename(asking.first, clean);
      await tabs.renamed(asking.first, clean);
    }
    // What was made deep in new folders is to be seen.
    for (let at = parentOf(clean); at !== ""; at = parentOf(at)) workspace.toggle(at, true);
    select(clean);
    setAsking(undefined);
  }

  return (
    <section class="panel files" aria-label="Files">
      <div class="tools" role="toolbar" aria-label="Files">
        <button type="button" onClick={() => setAsking({ kind: "file", title: "New file", first: join(folder, "") })}>
          New file
        </button>
        <button
          type="button"
          onClick={() => setAsking({ kind: "folder", title: "New folder", first: join(folder, "") })}
        >
          New folder
        </button>
        <button type="button" disabled={isUploading} onClick={() => picker.current?.click()}>
          {isUploading ? "Uploading …" : "Upload"}
        </button>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          aria-label="Files to upload"
          onChange={({ currentTarget }) => {
            void upload([...(currentTarget.files ?? [])]);
            currentTarget.value = "";
          }}
        />
      </div>
      {(failure || workspace.failure.value) && (
        <Notice kind="error">
          {failure || workspace.failure.value}{" "}
          <button type="button" class="link" onClick={dismiss}>
            Dismiss
          </button>
        </Notice>
      )}
      {workspace.folders.value.has("") && nodes.length === 0 && (
        <p class="empty">No files yet. Make one, or upload some.</p>
      )}
      {nodes.length > 0 && (
        <ul
          ref={tree}
          class="tree"
          role="tree"
          aria-label="Files of this REPL"
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            event.preventDefault();
            void upload([...(event.dataTransfer?.files ?? [])]);
          }}
        >
          <Space height={before} />
          {nodes.slice(from, to).map((node, drawn) => (
            <li
              key={node.path}
              role="treeitem"
              data-index={from + drawn}
              aria-level={node.depth}
              aria-posinset={node.place}
              aria-setsize={node.of}
              aria-selected={node.path === selectedPath}
              {...(node.isFolder ? { "aria-expanded": workspace.expanded.value.has(node.path) } : {})}
              tabIndex={drawn === tabStop ? 0 : -1}
              class={`${node.isFolder ? "folder" : "file"} ${node.path === tabs.activePath.value ? "active" : ""}`}
              style={{ "--depth": node.depth }}
              title={node.path}
              onClick={() => choose(node)}
              onFocus={() => select(node.path)}
              onKeyDown={(event) => onKeyDown(event, node, from + drawn)}
            >
              <bdi>{node.name}</bdi>
            </li>
          ))}
          <Space height={after} />
        </ul>
      )}
      {selected && (
        <div class="tools" role="toolbar" aria-label={`With ${selected.path}`}>
          <button
            type="button"
            onClick={() =>
              setAsking({ kind: "rename", title: `Rename or move ${selected.path}`, first: selected.path })
            }
          >
            Rename
          </button>
          {!selected.isFolder && (
            <a class="button" href={workspace.downloadUrl(selected.path)} download={selected.name}>
              Download
            </a>
          )}
          <button type="button" onClick={() => setAsking({ kind: "delete", node: selected })}>
            Delete
          </button>
        </div>
      )}
      {asking?.kind === "delete" && (
        <ConfirmDialog
          title={`Delete ${asking.node.name}?`}
          text={`${asking.node.path} goes${asking.node.isFolder ? " with everything in it" : ""}. Earlier saves still have it: see History.`}
          yes="Delete"
          no="Keep"
          onYes={() => {
            const { path } = asking.node;
            void attempt(() => workspace.remove(path).then(() => tabs.removed(path)));
          }}
          onClose={() => setAsking(undefined)}
        />
      )}
      {asking?.kind === "replace" && (
        <ConfirmDialog
          title={`Replace ${nameOf(asking.path)}?`}
          text="There is a file of that name already."
          yes="Replace it"
          no="Keep the old one"
          onYes={() => void attempt(() => workspace.upload(asking.path, asking.content, true))}
          onClose={() => setAsking(undefined)}
        />
      )}
      {asking && "first" in asking && (
        <PathDialog title={asking.title} first={asking.first} onAnswer={answer} onClose={() => setAsking(undefined)} />
      )}
    </section>
  );
}

/** Where rows are that are not drawn. */
function Space({ height }: { readonly height: number }) {
  return height > 0 ? <li role="none" class="space" style={{ height: `${height}px` }} /> : null;
}
