import diffMatchPatch from "diff-match-patch";
import { describe, expect, it, vi } from "vitest";
import { inspector, newPerson, openEditor, shell } from "./flow.ts";

const patcher = new diffMatchPatch.diff_match_patch();
const patience = { timeout: 30_000, interval: 100 };

/** Things that storage likes to lose; each line makes one, the listing below shows all that counts. */
const oddities = [
  "mkdir -p empty 'with space/ünïcode'",
  "printf 'x' > 'with space/ünïcode/ü.txt'",
  "printf '#!/bin/sh\\necho ran\\n' > run.sh && chmod 750 run.sh",
  "ln -s run.sh link && ln -s nowhere broken && ln -s /etc/passwd absolute",
  ": > zero && head -c 3000000 /dev/urandom > big",
  "touch -d '2001-02-03 04:05:06.789' zero && chmod 400 zero",
  "printf 'a' > 'new\nline' && printf 'd' > -dash",
].join(" && ");
const listing =
  "find . -mindepth 1 -printf '%y %m %T@ %p -> %l\\n' | sed 's/\\(\\.[0-9]\\{6\\}\\)[0-9]*/\\1/' | LC_ALL=C sort; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum";

describe.each([
  {
    template: "node",
    main: "server.js",
    run: "node server.js",
    port: 3000,
    from: "Hello from Node",
    greeting: "Hello from my Node",
  },
  {
    template: "python",
    main: "main.py",
    run: "python3 main.py",
    port: 8000,
    from: "Hello from Python",
    greeting: "Hello from my Python",
  },
])("the sample flow with $template", ({ template, main, run, port, from, greeting }) => {
  it("creates, edits, runs, previews, closes, and finds every byte again", async () => {
    const api = await newPerson();
    const repl = await api.create(template, `My ${template} ✓`);
    expect(repl).toMatchObject({
      name: `My ${template} ✓`,
      user: api.login,
      template,
      isActive: true,
      status: "running",
    });
    expect(await api.list()).toEqual([repl]);

    const editor = await openEditor(api, repl.id);
    expect(editor.url).toBe(repl.url);
    const loaded = await editor.ask("Connection", {}, "Loaded");
    expect(loaded["rootContents"]).toContainEqual({ name: main, isDir: false });

    const { content } = await editor.ask("fetchContent", { path: main });
    const edited = String(content).replace(from, greeting);
    expect(edited).not.toBe(content);
    await editor.ask("updateContent", {
      path: `/${main}`,
      patch: patcher.patch_toText(patcher.patch_make(String(content), edited)),
    });

    const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
    await editor.type(sessionId, run, `Listening on port ${port}`);
    const preview = `${editor.url}user-app/${port}/some/path?q=1`;
    const page = await (await fetch(preview, { headers: { cookie: `devex_repl=${editor.ticket}` } })).text();
    expect(page).toContain(greeting);
    expect(page).toContain("/some/path?q=1");
    expect((await fetch(preview)).status).toBe(401);

    await shell(editor, `rm README.md && ${oddities}`);
    const before = await shell(editor, listing);
    expect(before).toContain("link -> run.sh");
    await editor.close();

    const { save } = await api.close(repl.id);
    expect(save.generation).toBe(2);
    expect(await api.get(repl.id)).toMatchObject({
      isActive: false,
      status: "stopped",
      lastSave: { generation: 2, files: save.files },
    });
    const look = inspector();
    await vi.waitFor(async () => expect(await look.objectsOf(repl.id)).toEqual([]), patience);
    expect(await look.textOf(`${api.login}/${repl.id}/${main}`)).toBe(edited);
    const keys = await look.keysUnder(`${api.login}/${repl.id}/`);
    expect(keys).toContain(`${api.login}/${repl.id}/with space/ünïcode/ü.txt`);
    expect(keys).not.toContain(`${api.login}/${repl.id}/README.md`);

    const again = await openEditor(api, repl.id);
    expect(await shell(again, listing)).toBe(before);
    await again.close();
    expect((await api.close(repl.id)).save).toEqual(save);

    await api.remove(repl.id);
    expect(await api.list()).toEqual([]);
    await expect(api.get(repl.id)).rejects.toThrow("404");
    expect(await look.keysUnder(`${api.login}/${repl.id}/`)).toEqual([]);
    expect(await look.keysUnder(`.devex/saves/${repl.id}/`)).toEqual([]);
  });
});
