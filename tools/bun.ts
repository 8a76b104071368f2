import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const processor = process.arch === "arm64" ? "aarch64" : "x64";
const places = [`@oven/bun-linux-${processor}/bin/bun`, "bun/bin/bun.exe"];

/** Bun, which runs the sync program. The package's script, which not every npm runs, moves it from the first place to the second. */
export function bunBinary(): string {
  const paths = places.map((place) => fileURLToPath(new URL(`../node_modules/${place}`, import.meta.url)));
  const found = paths.find(existsSync);
  if (!found) throw new Error(`there is no Bun for linux-${processor} in node_modules: run npm ci`);
  return found;
}
