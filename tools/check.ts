import { spawn } from "node:child_process";

/** `npm run check`: everything that needs no server, side by side. */

const checks = {
  format: ["oxfmt", "--check"],
  lint: ["oxlint", "--type-aware", "--deny-warnings"],
  types: ["tsc"],
  "types of the page": ["tsc", "-p", "web"],
  "dead code": ["knip"],
  "unit tests": ["vitest", "run", "--project", "unit"],
} as const;

const isChosen = (name: string) => name !== "unit tests" || !process.argv.includes("--without-tests");
const started = performance.now();

function run(name: string, [command, ...args]: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn("npx", ["--no-install", command as string, ...args], { stdio: "pipe" });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("close", (code) => {
      console.log(`${code === 0 ? "✓" : "✗"} ${name}  ${((performance.now() - started) / 1000).toFixed(1)} s`);
      if (code !== 0) console.log(output);
      resolve(code === 0);
    });
  });
}

const results = await Promise.all(
  Object.entries(checks)
    .filter(([name]) => isChosen(name))
    .map(([name, command]) => run(name, command)),
);
process.exitCode = results.every(Boolean) ? 0 : 1;
