import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { clearMarker, setMarker } from "../../../sync/here.ts";
import { newFolder, removeFolders } from "../../setup/trees.ts";

describe("a marker", () => {
  afterEach(removeFolders);

  it("takes no new inode, which a full disk may not have, each time that it is set", () => {
    const marker = join(newFolder(), "closing");
    writeFileSync(`${marker}.ready`, "");
    const { ino } = statSync(`${marker}.ready`);
    for (let time = 1; time <= 2; time++) {
      setMarker(marker);
      setMarker(marker);
      expect([statSync(marker).ino, existsSync(`${marker}.ready`)]).toEqual([ino, false]);
      clearMarker(marker);
      clearMarker(marker);
      expect([existsSync(marker), statSync(`${marker}.ready`).ino]).toEqual([false, ino]);
    }
  });

  it("is made where none was made ready, as in a pod of a release before", () => {
    const marker = join(newFolder(), "closing");
    setMarker(marker);
    expect(existsSync(marker)).toBe(true);
  });
});
