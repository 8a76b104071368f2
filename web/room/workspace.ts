import { batch, signal } from "@preact/signals";
import type { FolderItem } from "../../runner/protocol.ts";
import { reasonOf } from "../words.ts";
import type { Connection } from "./connection.ts";
import { ConnectionLost } from "./document.ts";

/** Something to open or to change: a path without a slash at its begin, the workspace itself being "". */
export interface Node {
  readonly path: string;
  readonly name: string;
  readonly isFolder: boolean;
  readonly depth: number;
  /** Its place among those of its folder, from 1, and how many they are. */
  readonly place: number;
  readonly of: number;
}

export type Workspace = ReturnType<typeof createWorkspace>;

interface WorkspaceOptions {
  readonly connection: Connection;
  /** Under which the runner answers: `<url>api/v1/files/`. */
  readonly filesUrl: string;
  readonly ticket: () => string;
}

export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));
export const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
export const join = (folder: string, name: string): string => (folder === "" ? name : `${folder}/${name}`);

/** Changes come in bursts, such as an installation. */
const settleMs = 80;

/** The files of a room as a tree whose folders are loaded when they are opened. */
export function createWorkspace({ connection, filesUrl, ticket }: WorkspaceOptions) {
  const folders = signal<ReadonlyMap<string, readonly FolderItem[]>>(new Map());
  const expanded = signal<ReadonlySet<string>>(new Set());
  const failure = signal("");
  const stale = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function load(folder: string): Promise<void> {
    try {
      const { contents } = await connection.ask<{ contents: FolderItem[] }>("fetchDir", { Dir: folder });
      folders.value = new Map(folders.value).set(folder, contents);
    } catch (error) {
      if (error instanceof ConnectionLost) return;
      if (folder === "") failure.value = reasonOf(error);
      else forget(folder);
    }
  }

  function forget(folder: string): void {
    const isBelow = (path: string) => path === folder || path.startsWith(`${folder}/`);
    batch(() => {
      folders.value = new Map([...folders.value].filter(([path]) => !isBelow(path)));
      expanded.value = new Set([...expanded.value].filter((path) => !isBelow(path)));
    });
  }

  function reload(folder: string): void {
    if (!folders.value.has(folder)) return;
    stale.add(folder);
    timer ??= setTimeout(() => {
      timer = undefined;
      for (const one of stale) void load(one);
      stale.clear();
    }, settleMs);
  }

  function reloadAll(): void {
    for (const folder of folders.value.keys()) reload(folder);
  }

  connection.on("fileChanged", ({ path, kind }: { path: string; kind: string }) => {
    if (path === "") return reloadAll();
    if (kind !== "changed") reload(parentOf(path));
    if (kind === "deleted") forget(path);
  });

  /** What is to be seen of the tree, from top to bottom. */
  function visible(folder = "", depth = 1): Node[] {
    return (folders.value.get(folder) ?? []).flatMap(({ name, isDir }, index, { length }): Node[] => {
      const path = join(folder, name);
      const node = { path, name, isFolder: isDir, depth, place: index + 1, of: length };
      return isDir && expanded.value.has(path) ? [node, ...visible(path, depth + 1)] : [node];
    });
  }

  async function change(event: string, data: object, ...touched: string[]): Promise<void> {
    await connection.ask(event, data);
    await Promise.all([...new Set(touched.map(parentOf))].map(load));
  }

  const urlOf = (path: string) => filesUrl + path.split("/").map(encodeURIComponent).join("/");
  const authorization = () => ({ authorization: `Bearer ${ticket()}` });

  return {
    folders,
    expanded,
    failure,
    visible,
    load,
    reloadAll,

    toggle(path: string, isOpen = !expanded.value.has(path)): void {
      const next = new Set(expanded.value);
      if (isOpen) next.add(path);
      else next.delete(path);
      expanded.value = next;
      if (isOpen) void load(path);
    },

    createFile: (path: string) => change("createFile", { path }, path),
    createFolder: (path: string) => change("createFolder", { path }, path),
    rename: (oldPath: string, newPath: string) => change("rename", { oldPath, newPath }, oldPath, newPath),
    async remove(path: string): Promise<void> {
      await change("delete", { path }, path);
      forget(path);
    },

    /** Stores a file of any size; `isReplacing` false refuses one that is there. Throws an Error with the reason. */
    async upload(path: string, content: Blob, isReplacing: boolean): Promise<"stored" | "exists"> {
      const headers = { ...authorization(), ...(isReplacing ? {} : { "if-none-match": "*" }) };
      const response = await fetch(urlOf(path), { method: "PUT", body: content, headers });
      if (response.status === 412) return "exists";
      if (!response.ok) throw new Error((await response.text()).trim() || `The upload failed (${response.status}).`);
      await load(parentOf(path));
      return "stored";
    },

    /** Of a file of any kind. */
    async sizeOf(path: string): Promise<number> {
      const response = await fetch(urlOf(path), { method: "HEAD", headers: authorization() });
      return Number(response.headers.get("content-length") ?? 0);
    },
    async download(path: string): Promise<Blob> {
      const response = await fetch(urlOf(path), { headers: authorization() });
      if (!response.ok) throw new Error((await response.text()).trim());
      return response.blob();
    },
    /** An address that a browser downloads it by. */
    downloadUrl: (path: string) => `${urlOf(path)}?ticket=${encodeURIComponent(ticket())}`,
  };
}
