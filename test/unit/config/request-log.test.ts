import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const logger = fileURLToPath(new URL("../../../config/logger.ts", import.meta.url));

/** Runs a program that has a logger of requests, and returns the lines it said. */
async function linesOf(program: string): Promise<{ count: number; time: string }[]> {
  const code = `import { createRequestLog } from ${JSON.stringify(logger)}; const log = createRequestLog("test", "info"); ${program}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  const said = await text(child.stdout);
  return said
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { count: number; time: string });
}

const counts = (lines: readonly { count: number }[]) => lines.map(({ count }) => count);
const log = (count: number) => `for (let count = 0; count < ${count}; count++) log({ count });`;

describe("the log of requests", () => {
  it.each([1, 10_000])("loses none of %i lines when the process ends at once", async (count) => {
    expect(counts(await linesOf(`${log(count)} process.exit(0);`))).toEqual(
      Array.from({ length: count }, (_, at) => at),
    );
  });

  it("says a line within a second where no other comes", async () => {
    const lines = await linesOf(`${log(1)} setTimeout(() => process.kill(process.pid, "SIGKILL"), 1000);`);
    expect(counts(lines)).toEqual([0]);
  });

  it("tells each line's own millisecond", async () => {
    const lines = await linesOf(`${log(1)} setTimeout(() => { log({ count: 1 }); process.exit(0); }, 50);`);
    const [first = 0, second = 0] = lines.map(({ time }) => Date.parse(time));
    expect(second).toBeGreaterThan(first);
    expect(new Date(first).toISOString()).toBe(lines[0]?.time);
  });
});
