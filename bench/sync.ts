import { execFileSync, spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { loadConfig } from "../config/config.ts";
import { objectStoreOptions } from "../config/settings.ts";
import { createObjectStoreRecords } from "../domain/object-store-registry.ts";
import { openBucket } from "../domain/open-bucket.ts";
import { bunBinary } from "../tools/bun.ts";
import { bundle } from "../tools/image-contents.ts";
import { buildRclone, rcloneEnvironment, rcloneFlags } from "./rclone.ts";
import { percentile, ratio, type BenchOptions, type Row } from "./rows.ts";
import type { SyncProgramInput } from "../tools/sync-program.ts";

/** Saves and restores of the sync program, beside rclone and beside one archive, on the same trees and the same server. */

const nodeModules = fileURLToPath(new URL("../node_modules", import.meta.url));
const cases = ["first save", "save, nothing changed", "save, 1 % changed", "restore"] as const;

interface Tool {
  readonly name: string;
  /** Starts over with an empty place in the bucket. */
  reset(): Promise<void>;
  /** Removes all that it left there, old versions too. */
  clear(): Promise<void>;
  save(root: string): Promise<Measured>;
  restore(root: string): Promise<Measured>;
}

interface Measured {
  readonly ms: number;
  readonly requests?: number;
  readonly peakMegabytes: number;
}

export async function benchSync({ environment, rounds }: BenchOptions, print: (row: Row) => void): Promise<void> {
  const store = objectStoreOptions(loadConfig(environment));
  const work = mkdtempSync(join(process.env["DEVEX_BENCH_FOLDER"] ?? tmpdir(), "devex-bench-"));
  try {
    await openBucket(createS3ObjectStore(store), "bucket", { hasSessions: false });
    const rclone = await buildRclone();
    const program = join(work, "sync.mjs");
    await bundle(fileURLToPath(new URL("../tools/sync-program.ts", import.meta.url)), program);
    execFileSync("ln", ["-s", nodeModules, join(work, "node_modules")]);
    const tools = [ownTool(program, work, store), rcloneTool(rclone, store), archiveTool(rclone, store)];
    for (const [tree, fill] of Object.entries(trees)) {
      const times = new Map<string, Measured[]>();
      for (let round = 0; round < rounds; round++) {
        for (const tool of tools) {
          const [root, target] = [join(work, "root"), join(work, "target")];
          for (const folder of [root, target]) rmSync(folder, { recursive: true, force: true });
          mkdirSync(root);
          fill(root);
          await tool.reset();
          const measure = async (name: string, run: () => Promise<Measured>) => {
            // What one leaves in the disk's queue is not the next one's to wait for.
            execFileSync("sync");
            const key = `${name} ${tool.name}`;
            times.set(key, [...(times.get(key) ?? []), await run()]);
          };
          await measure(cases[0], () => tool.save(root));
          await measure(cases[1], () => tool.save(root));
          changeOnePercent(root);
          await measure(cases[2], () => tool.save(root));
          mkdirSync(target);
          await measure(cases[3], () => tool.restore(target));
          await tool.clear();
        }
      }
      const median = (runs: readonly Measured[]) =>
        percentile(
          runs.map(({ ms }) => ms),
          0.5,
        );
      for (const name of cases) {
        const own = median(times.get(`${name} devex`) ?? []);
        for (const tool of tools) {
          const runs = times.get(`${name} ${tool.name}`) ?? [];
          const requests = runs[0]?.requests;
          print({
            case: `${tree}: ${name}`,
            tool: tool.name,
            n: runs.length,
            p50Ms: median(runs),
            ...(requests === undefined ? {} : { requests }),
            peakMegabytes: Math.max(...runs.map(({ peakMegabytes }) => peakMegabytes)),
            ...(tool.name === "devex" ? {} : { timesOurs: ratio(median(runs), own) }),
          });
        }
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const trees: Readonly<Record<string, (root: string) => void>> = {
  "10 files": (root) => smallFiles(root, 10),
  "1,000 files": (root) => smallFiles(root, 1000),
  "20,000 files of a real node_modules": (root) => copyPart(nodeModules, join(root, "node_modules"), { left: 20_000 }),
  "one file of 1 GiB": (root) => {
    const part = randomBytes(64 * 2 ** 20);
    for (let megabytes = 0; megabytes < 1024; megabytes += 64) appendFileSync(join(root, "big"), part);
  },
};

function smallFiles(root: string, count: number): void {
  for (let file = 0; file < count; file++) {
    const folder = join(root, `folder-${file % 20}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file-${file}.js`), randomBytes(200 + ((file * 37) % 4000)).toString("base64"));
  }
}

/** Copies files until there are enough. */
function copyPart(from: string, to: string, wanted: { left: number }): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (wanted.left === 0) return;
    if (entry.isDirectory()) copyPart(join(from, entry.name), join(to, entry.name), wanted);
    else if (entry.isFile() && wanted.left-- > 0) cpSync(join(from, entry.name), join(to, entry.name));
  }
}

function changeOnePercent(root: string): void {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const step = Math.max(1, Math.min(100, files.length));
  for (let at = 0; at < files.length; at += step) {
    const file = files[at];
    if (file) appendFileSync(join(file.parentPath, file.name), "\nchanged\n");
  }
}

type Store = ReturnType<typeof objectStoreOptions>;

function ownTool(program: string, work: string, store: Store): Tool {
  let session = { id: "", replId: "", userId: "" };
  const [saved, restored] = [join(work, "known"), join(work, "known-after-restore")];
  const run = async (input: Pick<SyncProgramInput, "command" | "root" | "knownFolder">) => {
    const started = performance.now();
    const child = spawn(bunBinary(), [program, JSON.stringify({ store, session, ...input })], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const output = await text(child.stdout);
    return {
      ms: performance.now() - started,
      ...(JSON.parse(output.trim().split("\n").at(-1) ?? "") as { requests: number; peakMegabytes: number }),
    };
  };
  return {
    name: "devex",
    async reset() {
      for (const folder of [saved, restored]) rmSync(folder, { recursive: true, force: true });
      const id = `repl-${randomUUID().slice(0, 18)}`;
      session = { id: `s${randomUUID()}`, replId: id, userId: "bench" };
      await createObjectStoreRecords(createS3ObjectStore(store)).create({
        id,
        name: "Bench",
        owner: { id: "bench", login: "bench" },
        template: "node",
        createdAt: new Date().toISOString(),
        sessionId: session.id,
      });
    },
    clear: () => purge(store, `bench/${session.replId}/`, `.devex/saves/${session.replId}/`, ".devex/repls/bench/"),
    save: (root) => run({ command: "save", root, knownFolder: saved }),
    restore: (root) => run({ command: "restore", root, knownFolder: restored }),
  };
}

function rcloneTool(rclone: string, store: Store): Tool {
  let place = "";
  return {
    name: "rclone",
    async reset() {
      place = `bench:${store.bucket}/bench-rclone/${randomUUID()}`;
    },
    clear: () => purge(store, "bench-rclone/"),
    save: (root) => timed(store, rclone, ["sync", root, place, ...rcloneFlags]),
    restore: (root) => timed(store, rclone, ["sync", place, root, ...rcloneFlags]),
  };
}

function archiveTool(rclone: string, store: Store): Tool {
  let place = "";
  const shell = (command: string) => timed(store, "bash", ["-o", "pipefail", "-c", command]);
  return {
    name: "tar | zstd",
    async reset() {
      place = `bench:${store.bucket}/bench-archive/${randomUUID()}`;
    },
    clear: () => purge(store, "bench-archive/"),
    save: (root) => shell(`tar -C ${root} -c . | zstd -q -T0 | ${rclone} rcat --s3-no-check-bucket ${place}`),
    restore: (root) => shell(`${rclone} cat ${place} | zstd -q -d | tar -C ${root} -x`),
  };
}

async function purge(store: Store, ...prefixes: readonly string[]): Promise<void> {
  // Of some ten thousand versions the server sometimes refuses one, and takes it the second time.
  for (const prefix of prefixes) {
    const clear = () => createS3ObjectStore(store).purge(prefix);
    await clear().catch(clear);
  }
}

/** Runs a command and reads from the kernel how much memory its biggest process took. */
async function timed(store: Store, command: string, args: readonly string[]): Promise<Measured> {
  const started = performance.now();
  const child = spawn("/usr/bin/time", ["-f", "%M", command, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...rcloneEnvironment(store) },
  });
  const exit = once(child, "exit");
  const output = (await text(child.stderr)).trim();
  const [code] = (await exit) as [number];
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${output}`);
  return { ms: performance.now() - started, peakMegabytes: Math.round(Number(output.split("\n").at(-1)) / 1024) };
}
