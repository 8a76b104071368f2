import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { SaveStatus } from "../../../domain/save.ts";
import { newFolder, removeFolders } from "../../setup/trees.ts";

const script = fileURLToPath(new URL("../../../sync/checkpoints.sh", import.meta.url));

describe("the loop of checkpoints", () => {
  let loop: ChildProcess | undefined;
  afterEach(async () => {
    if (loop?.exitCode === null && loop.signalCode === null) {
      loop.kill("SIGTERM");
      await once(loop, "exit");
    }
    removeFolders();
  });

  /** Runs the loop with a checkpoint of its own, which says in `ran` that it did. */
  function start(checkpoint: string, ...markers: string[]): string {
    return startIn(newFolder(), checkpoint, ...markers);
  }
  function startIn(state: string, checkpoint: string, ...markers: string[]): string {
    for (const marker of markers) writeFileSync(join(state, marker), "");
    const program = join(state, "sync.mjs");
    writeFileSync(
      program,
      `import { appendFileSync } from "node:fs"; appendFileSync("${state}/ran", process.argv[2] + " "); ${checkpoint}`,
    );
    loop = spawn("sh", [script], {
      env: {
        ...process.env,
        DEVEX_STATE_FOLDER: state,
        DEVEX_SYNC_PROGRAM: `node ${program}`,
        CHECKPOINT_SECONDS: "0.1",
      },
      stdio: "ignore",
    });
    return state;
  }
  /** Ends the loop as a node does, once it listens: it sleeps then. */
  async function end(): Promise<void> {
    await listening();
    loop?.kill("SIGTERM");
    if (loop) await once(loop, "exit");
    expect(loop?.exitCode).toBe(0);
  }
  async function listening(): Promise<void> {
    const children = `/proc/${loop?.pid}/task/${loop?.pid}/children`;
    await until(() => expect(readFileSync(children, "utf8")).not.toBe(""));
  }
  const tasks = (state: string) =>
    existsSync(join(state, "ran")) ? readFileSync(join(state, "ran"), "utf8").trim().split(" ") : [];
  const runs = (state: string) => tasks(state).length;
  const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 50 });

  it("goes on whatever a checkpoint ends with", async () => {
    const state = start("process.exit(1);", "restored");
    await until(() => expect(runs(state)).toBeGreaterThan(2));
    expect(existsSync(join(state, "save-status.json"))).toBe(false);
  });

  it("says since when checkpoints are killed, which they cannot say themselves", async () => {
    const state = start("process.kill(process.pid, 'SIGKILL');", "restored");
    await until(() => expect(runs(state)).toBeGreaterThan(2));
    const { unsaved } = JSON.parse(readFileSync(join(state, "save-status.json"), "utf8")) as SaveStatus;
    expect(unsaved?.reason).toBe("the checkpoint was killed (exit code 137)");
    expect(Date.parse(unsaved?.since ?? "")).toBeGreaterThan(Date.now() - 60_000);
  });

  it("says since when checkpoints are killed together with the loop, as soon as it is started again", async () => {
    const both = "process.kill(process.ppid, 'SIGKILL'); process.kill(process.pid, 'SIGKILL');";
    const state = start(both, "restored");
    const began = Date.now();
    const since: (string | undefined)[] = [];
    for (let life = 1; life <= 2; life++) {
      if (loop?.exitCode === null && loop.signalCode === null) await once(loop, "exit");
      expect([loop?.signalCode, runs(state)]).toEqual(["SIGKILL", life]);
      startIn(state, both);
      await until(() => expect(existsSync(join(state, "save-status.json"))).toBe(true));
      const { unsaved } = JSON.parse(readFileSync(join(state, "save-status.json"), "utf8")) as SaveStatus;
      expect(unsaved?.reason).toBe("the last checkpoint was killed, probably because it ran out of memory");
      since.push(unsaved?.since);
    }
    expect(since[0]).toBe(since[1]);
    expect(Math.abs(Date.parse(since[0] ?? "") - began)).toBeLessThan(20_000);
    if (loop?.exitCode === null && loop.signalCode === null) await once(loop, "exit");
    // One that ends well has said what there is to say: nothing is left for the next start.
    rmSync(join(state, "save-status.json"));
    startIn(state, "");
    await until(() => expect(runs(state)).toBeGreaterThan(4));
    rmSync(join(state, "save-status.json"));
    loop?.kill("SIGTERM");
    if (loop) await once(loop, "exit");
    const before = runs(state);
    startIn(state, "");
    await until(() => expect(runs(state)).toBeGreaterThan(before));
    expect(existsSync(join(state, "save-status.json"))).toBe(false);
  });

  it("makes a last one when the pod ends, and none before the files are there", async () => {
    const early = start("");
    await end();
    expect(runs(early)).toBe(0);
    const state = start("", "restored");
    await until(() => expect(runs(state)).toBeGreaterThan(0));
    const before = runs(state);
    await end();
    expect(runs(state)).toBeGreaterThan(before);
    expect(tasks(state).indexOf("hand-over")).toBe(runs(state) - 1);
    expect(new Set(tasks(state))).toEqual(new Set(["checkpoint", "hand-over"]));
  });

  it.each([
    ["has not saved yet", "closing"],
    ["has saved, and did not come to its end", "closing", "saved"],
  ])("makes a last one when the pod ends in the middle of a close that %s, and none before", async (_, ...markers) => {
    const state = start("", "restored", ...markers);
    await end();
    expect(tasks(state)).toEqual(["hand-over"]);
  });

  it("resumes at once where an earlier life has handed over, again and again until that succeeds, and not in a close", async () => {
    const isThird = `readFileSync(state + "/ran", "utf8").split("resume").length > 3`;
    const succeed = `if (process.argv[2] === "resume" && ${isThird}) renameSync(state + "/handed-over", state + "/restored"); else process.exit(1);`;
    const program = `import { readFileSync, renameSync } from "node:fs"; const state = process.env.DEVEX_STATE_FOLDER; ${succeed}`;
    const state = start(program, "handed-over");
    await until(() => expect(tasks(state)).toContain("checkpoint"));
    expect(tasks(state).slice(0, 4)).toEqual(["resume", "resume", "resume", "checkpoint"]);
    await end();
    const refilling = start("", "refilling");
    await until(() => expect(tasks(refilling)).toContain("resume"));
    await end();
    const closing = start("", "handed-over", "closing");
    await end();
    expect(runs(closing)).toBe(0);
  });

  it("makes a last one also when the pod ends in the middle of one, which may have looked already", async () => {
    const state = start("await new Promise((resolve) => setTimeout(resolve, 500));", "restored");
    await until(() => expect(runs(state)).toBe(1));
    await end();
    expect(tasks(state)).toEqual(["checkpoint", "hand-over"]);
  });

  describe("which is told to end", () => {
    const saying = (word: string) => `appendFileSync(process.env.DEVEX_STATE_FOLDER + "/ran", "${word} ");`;
    const atWork = `setInterval(() => {}, 1000); ${saying("at-work")}`;
    const ending = `process.once("SIGTERM", () => setTimeout(() => { ${saying("told")} process.exit(1); }, 100));`;

    it("tells a checkpoint that is at work, and waits for it, so that the last one has the time that is left", async () => {
      const state = start(`if (process.argv[2] === "checkpoint") { ${ending} ${atWork} }`, "restored");
      await until(() => expect(tasks(state)).toContain("at-work"));
      await end();
      expect(tasks(state)).toEqual(["checkpoint", "at-work", "told", "hand-over"]);
      expect(existsSync(join(state, "save-status.json"))).toBe(false);
    });

    it("does not take one that cannot hear it yet for one that was killed", async () => {
      const state = start(`if (process.argv[2] === "checkpoint") { ${atWork} }`, "restored");
      await until(() => expect(tasks(state)).toContain("at-work"));
      await end();
      expect(tasks(state)).toEqual(["checkpoint", "at-work", "hand-over"]);
      expect(existsSync(join(state, "save-status.json"))).toBe(false);
    });

    it("does not tell the last one, however often that is", async () => {
      const state = start(
        `${ending} setTimeout(() => { ${saying("done")} process.exit(0); }, 500); ${saying("at-work")}`,
        "restored",
        "closing",
      );
      await listening();
      loop?.kill("SIGTERM");
      await until(() => expect(tasks(state)).toEqual(["hand-over", "at-work"]));
      loop?.kill("SIGTERM");
      if (loop) await once(loop, "exit");
      expect(tasks(state)).toEqual(["hand-over", "at-work", "done"]);
    });
  });
});
