import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { bunBinary } from "../../tools/bun.ts";
import { readOrCreateSettings } from "../../tools/stack/settings.ts";
import type { SyncProgramInput } from "../../tools/sync-program.ts";
import { newReplOnStack } from "../setup/stack-repl.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";
import { newFolder, removeFolders } from "../setup/trees.ts";

const program = fileURLToPath(new URL("../../tools/sync-program.ts", import.meta.url));
const gibibyte = 2 ** 30;
const sizeGibibytes = 5;
const maximumMebibytes = 128;
/** The store has it in parts and whole for a moment. */
const neededBytes = 3 * sizeGibibytes * gibibyte;
const timeout = 300_000;

const { bavail, bsize } = statfsSync(readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev").folder);
const hasRoom = bavail * bsize >= neededBytes;
if (!hasRoom)
  console.warn(
    `skipped, a file of ${sizeGibibytes} GiB: the stack's folder wants ${neededBytes / gibibyte} GiB of room`,
  );

afterAll(removeFolders);

/** A file of that size that is little to keep: letters here and there, and holes between. */
function writeBigFile(path: string): void {
  const file = openSync(path, "w");
  ftruncateSync(file, sizeGibibytes * gibibyte);
  for (let at = 0; at < sizeGibibytes; at++) writeSync(file, `at ${at}`, at * gibibyte + at);
  writeSync(file, "end", sizeGibibytes * gibibyte - 3);
  closeSync(file);
}

it.skipIf(!hasRoom)(
  `a file of ${sizeGibibytes} GiB is saved and comes back in less than ${maximumMebibytes} MiB of memory`,
  { timeout },
  async () => {
    const { store, record, session } = await newReplOnStack();
    const [root, target] = [newFolder(), newFolder()];
    writeBigFile(join(root, "big"));
    const run = (input: Pick<SyncProgramInput, "command" | "root">) => {
      const whole: SyncProgramInput = { ...input, store: stackObjectStore(), session, knownFolder: newFolder() };
      const said = execFileSync(bunBinary(), [program, JSON.stringify(whole)], { encoding: "utf8" });
      return (JSON.parse(said.trim().split("\n").at(-1) ?? "") as { peakMegabytes: number }).peakMegabytes;
    };
    try {
      expect(run({ command: "save", root })).toBeLessThan(maximumMebibytes);
      expect(run({ command: "restore", root: target })).toBeLessThan(maximumMebibytes);
      execFileSync("cmp", [join(root, "big"), join(target, "big")]);
    } finally {
      await store.purge(`${record.owner.login}/${record.id}/`);
    }
  },
);
