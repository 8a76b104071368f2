import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, expect, it } from "vitest";
import { createSavePlace } from "../../domain/object-store-registry.ts";
import { restoreWorkspace } from "../../sync/restore.ts";
import type { SyncProgramInput } from "../../tools/sync-program.ts";
import { newReplOnStack } from "../setup/stack-repl.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";
import { describeTree, newFolder, removeFolders } from "../setup/trees.ts";

const program = fileURLToPath(new URL("../../tools/sync-program.ts", import.meta.url));
const kills = 50;
const filesOfTree = 120;
/** After a killed save the next one has more to do. */
const slower = 3;

afterAll(removeFolders);

/** Runs a save and kills it so long after it began; without a time it may end. Returns how long it took, and whether it ended. */
async function runSave(input: SyncProgramInput, killAfterMs?: number): Promise<{ ms: number; hasEnded: boolean }> {
  const child = spawn(process.execPath, [program, JSON.stringify(input)], { stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const began = performance.now();
  if (killAfterMs !== undefined) {
    await delay(killAfterMs);
    child.kill("SIGKILL");
  }
  const hasEnded = !(await lines.next()).done;
  await exit;
  return { ms: performance.now() - began, hasEnded };
}

it(`opens as the save before or the save after, never a mixture, when a save is killed at any of ${kills} points`, async () => {
  const { store, session } = await newReplOnStack();
  const root = newFolder();
  const input: SyncProgramInput = {
    command: "save",
    store: stackObjectStore(),
    session,
    root,
    knownFolder: newFolder(),
  };
  const restored = async () => {
    const target = newFolder();
    await restoreWorkspace(createSavePlace(store), session, { root: target, knownFolder: newFolder(), pod: "pod" });
    const tree = describeTree(target);
    rmSync(target, { recursive: true });
    return tree;
  };
  /** Changes, adds, removes and renames, and swaps a file for a folder. */
  const change = (round: number) => {
    for (let file = 0; file < filesOfTree; file++) {
      const folder = join(root, `folder ${file % 7}`);
      mkdirSync(folder, { recursive: true });
      if ((file + round) % 3 === 0)
        writeFileSync(join(folder, `file ${file}`), `round ${round} ${"x".repeat(file * 40)}`);
      if ((file + round) % 11 === 0) rmSync(join(folder, `file ${file}`), { force: true });
    }
    rmSync(join(root, "either"), { recursive: true, force: true });
    if (round % 2 === 0) mkdirSync(join(root, "either/inside"), { recursive: true });
    writeFileSync(join(root, round % 2 === 0 ? "either/inside/file" : "either"), `round ${round}`);
    if (round % 5 === 0) {
      rmSync(join(root, "moved"), { recursive: true, force: true });
      renameSync(join(root, "folder 3"), join(root, "moved"));
    }
  };

  change(0);
  await runSave(input);
  change(1);
  // How long an undisturbed save of such a change takes, so that the kills are spread over all of it.
  const { ms } = await runSave(input);
  let before = describeTree(root);
  expect(await restored()).toEqual(before);
  const outcomes = { before: 0, after: 0 };
  for (let kill = 0; kill < kills; kill++) {
    change(kill + 2);
    const after = describeTree(root);
    const { hasEnded } = await runSave(input, ((kill + Math.random()) / kills) * ms * slower);
    const opened = await restored();
    const isAfter = JSON.stringify(opened) === JSON.stringify(after);
    if (hasEnded) expect(isAfter, `kill ${kill}: a save that was reported is there`).toBe(true);
    if (!isAfter) expect(opened, `kill ${kill}`).toEqual(before);
    outcomes[isAfter ? "after" : "before"]++;
    before = opened;
  }
  console.log(`killed ${kills} times within ${Math.round(ms)} ms: ${JSON.stringify(outcomes)}`);
  expect(Math.min(outcomes.before, outcomes.after)).toBeGreaterThan(0);
  // And whatever lay about, the next save that is let be is exact.
  await runSave(input);
  expect(await restored()).toEqual(describeTree(root));
}, 300_000);
