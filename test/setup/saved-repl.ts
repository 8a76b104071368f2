import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FileStore } from "../../domain/ports.ts";
import { createObjectStoreRecords, createSavePlace } from "../../domain/object-store-registry.ts";
import type { SaveKind } from "../../domain/save.ts";
import { saveWorkspace } from "../../sync/save.ts";
import { newFolder } from "./trees.ts";

/** A workspace of a REPL that is in the registry, saved as a pod would save it. */
export async function savedRepl(store: FileStore, repl: { readonly id: string; readonly userId: string }) {
  const [root, knownFolder] = [newFolder(), newFolder()];
  const session = { id: "s-saves", replId: repl.id, userId: repl.userId };
  return {
    root,
    session,
    write(path: string, content: string): void {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    },
    remove: (path: string) => rmSync(join(root, path), { recursive: true }),
    async save(kind: SaveKind = "close") {
      await createObjectStoreRecords(store).update(repl.userId, repl.id, (record) => ({
        ...record,
        sessionId: session.id,
      }));
      return saveWorkspace(createSavePlace(store), session, { root, knownFolder, pod: "pod", kind });
    },
  };
}
