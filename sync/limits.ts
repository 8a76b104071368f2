import { maximumFileBytes } from "./file-content.ts";
import type { TreeNode } from "./walk.ts";

const gibibyte = 2 ** 30;

/** Files that no save takes, and why. Their size says so: the disk bounds what they hold, but nothing bounds their holes, which a save stores as the zeros that programs read. */
export function pathsBeyondLimits(nodes: readonly TreeNode[], maximumHoleBytes: number): Map<string, string> {
  const beyond = new Map<string, string>();
  let holeBytes = 0;
  for (const node of nodes) {
    if (node.type !== "file") continue;
    if (node.sizeBytes > maximumFileBytes)
      beyond.set(
        node.path,
        `it is ${inGibibytes(node.sizeBytes)} long, and a save takes ${inGibibytes(maximumFileBytes)}`,
      );
    else if (holeBytes + node.holeBytes > maximumHoleBytes)
      beyond.set(
        node.path,
        `${inGibibytes(node.holeBytes)} of it are holes, and a save takes ${inGibibytes(maximumHoleBytes)} of holes in all files together`,
      );
    else holeBytes += node.holeBytes;
  }
  return beyond;
}

function inGibibytes(bytes: number): string {
  return `${Math.ceil((bytes * 10) / gibibyte) / 10} GiB`;
}
