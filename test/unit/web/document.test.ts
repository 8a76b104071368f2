import { crc32 } from "node:zlib";
import { setTimeout as delay } from "node:timers/promises";
import { ChangeSet, Text } from "@codemirror/state";
import diffMatchPatch from "diff-match-patch";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { ConnectionLost, openDocument, type DocumentState, type Draft } from "../../../web/room/document.ts";

const matcher = new diffMatchPatch.diff_match_patch();

/** A file as the runner keeps it, an editor on it, and what can go wrong between them. */
async function openFile(first: string | undefined, draft?: Draft) {
  let content = first;
  const faults: ("refused" | "lost before" | "lost after")[] = [];
  let state: DocumentState = { kind: "saved" };
  let shown = Text.empty;
  let isShown = false;
  const tick = () => delay(Math.random() * 2);
  const document = await openDocument({
    file: {
      async read() {
        await tick();
        if (content === undefined) throw new Error("a.txt does not exist");
        return content;
      },
      async patch(patch) {
        await tick();
        const fault = faults.shift();
        if (fault === "refused") throw new Error("the disk is full");
        if (fault === "lost before") throw new ConnectionLost();
        if (content === undefined) throw new Error("a.txt does not exist");
        const [patched, applied] = matcher.patch_apply(matcher.patch_fromText(patch), content);
        if (!applied.every(Boolean)) throw new Error("a.txt has changed");
        content = patched;
        if (fault === "lost after") throw new ConnectionLost();
        return crc32(content);
      },
      async create() {
        if (content !== undefined) throw new Error("a.txt exists already");
        content = "";
      },
    },
    draft,
    onTheirs(changes) {
      // What is merged before the editor is there is in the text that it shows first.
      if (isShown) shown = changes.apply(shown);
    },
    onState: (now) => (state = now),
    saveAfterMs: 1,
  });
  shown = document.text;
  isShown = true;
  return {
    document,
    faults,
    state: () => state,
    shown: () => shown.toString(),
    content: () => content,
    type(from: number, to: number, insert: string): void {
      const changes = ChangeSet.of({ from, to, insert }, shown.length);
      shown = changes.apply(shown);
      document.edit(changes);
    },
    /** Somebody else writes the file. */
    async write(text: string | undefined): Promise<void> {
      content = text;
      await document.look();
    },
    settled: () => vi.waitFor(() => expect(state.kind).toBe("saved"), { timeout: 4000, interval: 2 }),
  };
}

describe("a document", () => {
  it("brings what is typed to the file, in order and to the byte", async () => {
    const file = await openFile("one\r\ntwo\r\n");
    for (const [at, letter] of [..."typed? 😀"].entries()) file.type(3 + at, 3 + at, letter);
    expect(file.state()).toEqual({ kind: "unsaved" });
    await file.settled();
    expect(file.content()).toBe("onetyped? 😀\r\ntwo\r\n");
  });

  it("merges what others change in other places, while one types", async () => {
    const file = await openFile("one\ntwo\nthree\nfour\n");
    file.type(0, 3, "ONE");
    await file.write("one\ntwo\nthree\nFOUR\nfive\n");
    await file.settled();
    expect(file.shown()).toBe("ONE\ntwo\nthree\nFOUR\nfive\n");
    expect(file.content()).toBe(file.shown());
  });

  it("shows a conflict in one place, which either side can win", async () => {
    for (const winner of ["mine", "theirs"]) {
      const file = await openFile("one\ntwo\n");
      file.faults.push("refused");
      file.type(0, 3, "mine");
      await file.write("theirs\ntwo\n");
      await vi.waitFor(() => expect(file.state()).toEqual({ kind: "conflict", theirs: "theirs\ntwo\n" }));
      file.type(4, 4, "!");
      if (winner === "mine") await file.document.keepMine();
      else file.document.takeTheirs();
      await file.settled();
      expect(file.shown()).toBe(winner === "mine" ? "mine!\ntwo\n" : "theirs\ntwo\n");
      expect(file.content()).toBe(file.shown());
    }
  });

  it.each(["mine", "theirs"])(
    "asks where the file is again what it was before, as after a lost container: %s",
    async (winner) => {
      const file = await openFile("one\n");
      file.type(3, 3, " hour");
      await file.settled();
      file.type(8, 8, " of thought");
      await file.settled();
      for (let look = 1; look <= 2; look++) {
        await file.write("one hour\n");
        expect(file.state()).toEqual({ kind: "conflict", theirs: "one hour\n", isOlder: true });
        expect(file.shown()).toBe("one hour of thought\n");
      }
      // After a reload it is what is typed and in no file yet.
      expect(file.document.draft()).toMatchObject({ base: "one hour\n", text: "one hour of thought\n" });
      if (winner === "mine") await file.document.keepMine();
      else file.document.takeTheirs();
      await file.settled();
      expect(file.content()).toBe(winner === "mine" ? "one hour of thought\n" : "one hour\n");
      expect(file.shown()).toBe(file.content());
      // What one takes back oneself is no question.
      file.type(0, 3, "ONE");
      await file.settled();
      file.type(0, 3, "one");
      await file.settled();
    },
  );

  it("asks also where others have edited in between, and goes on asking when others edit then", async () => {
    const file = await openFile("one\ntwo\nthree\n");
    file.type(0, 3, "ONE");
    await file.settled();
    await file.write("ONE\ntwo\nTHREE\n");
    file.type(0, 3, "Once");
    await file.settled();
    await file.write("ONE\ntwo\nthree\n");
    expect(file.state()).toMatchObject({ kind: "conflict", isOlder: true });
    await file.write("ONE\ntwo\nthree\nfour\n");
    expect(file.state()).toMatchObject({ kind: "conflict", isOlder: true });
    expect(file.shown()).toBe("Once\ntwo\nTHREE\n");
    expect(file.content()).toBe("ONE\ntwo\nthree\nfour\n");
    file.document.takeTheirs();
    await file.settled();
    expect(file.shown()).toBe("ONE\ntwo\nthree\nfour\n");
  });

  it.each(["lost before", "lost after"] as const)("keeps what was typed when the connection is %s", async (fault) => {
    const file = await openFile("a\n");
    file.faults.push(fault);
    file.type(1, 1, "b");
    await vi.waitFor(() => expect(file.faults).toEqual([]));
    file.type(2, 2, "c");
    expect(file.state().kind).toBe("unsaved");
    await file.document.look();
    await file.settled();
    expect(file.content()).toBe("abc\n");
  });

  it("is finished when all is in the file, and says why it is not", async () => {
    const file = await openFile("a\n");
    for (const letter of "bcd") file.type(0, 0, letter);
    const first = file.document.finish(5000);
    file.type(0, 0, "e");
    await first;
    expect(file.content()).toBe("edcba\n");
    file.faults.push("lost before");
    file.type(0, 0, "f");
    await expect(file.document.finish(200)).rejects.toThrow("does not answer");
    const whenBack = file.document.finish(Infinity);
    await file.document.look();
    await whenBack;
    expect(file.content()).toBe("fedcba\n");
  });

  it("goes on after a reload with what was typed and in no file", async () => {
    for (const arrived of [false, true]) {
      const file = await openFile("one\r\ntwo\r\nthree\r\n");
      file.faults.push(arrived ? "lost after" : "lost before");
      file.type(0, 3, "ONE");
      await vi.waitFor(() => expect(file.faults).toEqual([]));
      file.type(3, 3, "!");
      const draft = file.document.draft();
      expect(draft).toEqual({
        base: "one\r\ntwo\r\nthree\r\n",
        sent: "ONE\r\ntwo\r\nthree\r\n",
        text: "ONE!\r\ntwo\r\nthree\r\n",
      });
      const now = (file.content() ?? "").replace("three", "THREE");
      const again = await openFile(now, draft);
      expect(again.shown()).toBe("ONE!\ntwo\nTHREE\n");
      await again.settled();
      expect(again.content()).toBe("ONE!\r\ntwo\r\nTHREE\r\n");
      expect(again.document.draft()).toBeUndefined();
    }
  });

  it("shows after a reload what others have done to it: a conflict, or that it is gone", async () => {
    const draft = { base: "one\n", text: "mine\n" };
    const other = await openFile("theirs\n", draft);
    expect(other.state()).toEqual({ kind: "conflict", theirs: "theirs\n" });
    const gone = await openFile(undefined, draft);
    expect(gone.state()).toEqual({ kind: "gone" });
    await expect(gone.document.finish(1000)).rejects.toThrow("removed");
    await gone.document.keepMine();
    await gone.settled();
    expect(gone.content()).toBe("mine\n");
    const same = await openFile("mine\n", draft);
    expect(same.document.state()).toEqual({ kind: "saved" });
  });

  it("tries again what was refused, and says why", async () => {
    const file = await openFile("a\n");
    file.faults.push("refused");
    file.type(0, 0, "b");
    await vi.waitFor(() => expect(file.state()).toEqual({ kind: "unsaved", problem: "the disk is full" }));
    await file.settled();
    expect(file.content()).toBe("ba\n");
  });

  it("keeps the text of a file that somebody removes, and makes it anew when asked", async () => {
    const file = await openFile("a\nb\n");
    await file.write(undefined);
    expect(file.state()).toEqual({ kind: "gone" });
    file.type(0, 0, "still ");
    await file.document.keepMine();
    await file.settled();
    expect(file.content()).toBe("still a\nb\n");
  });

  it("takes paste of five megabytes, and their removal", { timeout: 60_000 }, async () => {
    const file = await openFile("start\n");
    const text = "a line that is long enough to be pasted? ünïcode\n".repeat(100_000);
    file.type(6, 6, text);
    await file.settled();
    expect(file.content()).toBe(`start\n${text}`);
    file.type(0, 6 + text.length, "");
    await file.settled();
    expect(file.content()).toBe("");
  });

  it("loses nothing of two people who type in different places, whatever happens on the way", async () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant("type" as const), text: fc.constantFrom("x", "yy", "z\n") }),
        fc.record({ kind: fc.constant("others" as const) }),
        fc.record({ kind: fc.constantFrom("lost before" as const, "lost after" as const) }),
        fc.record({ kind: fc.constant("wait" as const) }),
      ),
      { maxLength: 15 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const file = await openFile("top\n\n\n\nmiddle\n\n\n\nbottom\n");
        let typed = "";
        let others = 0;
        for (const step of all) {
          if (step.kind === "type") {
            file.type(3 + typed.length, 3 + typed.length, step.text);
            typed += step.text;
          } else if (step.kind === "others") await file.write(`${file.content()}other ${++others}\n`);
          else if (step.kind === "wait") await delay(3);
          else {
            file.faults.push(step.kind);
            await delay(8);
            await file.document.look();
          }
        }
        file.faults.length = 0;
        await delay(5);
        await file.document.look();
        await file.settled();
        await file.document.look();
        await file.settled();
        expect(file.content()).toBe(file.shown());
        expect(file.content()?.startsWith(`top${typed}\n`)).toBe(true);
        expect(file.content()?.match(/other \d+\n/g)?.length ?? 0).toBe(others);
      }),
      { numRuns: 100 },
    );
  });
});
