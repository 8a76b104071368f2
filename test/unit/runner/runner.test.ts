import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { on, once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import diffMatchPatch from "diff-match-patch";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { request as fetchAt } from "undici";
import WebSocket, { WebSocketServer } from "ws";
import { freePort } from "../../../tools/free-port.ts";
import { createTickets } from "../../../api/tickets.ts";
import { maximumMessageBytes } from "../../../runner/protocol.ts";
import { startRunner } from "../../../runner/server.ts";
import { connectEditor, type EditorClient } from "../../../tools/editor-client.ts";

const patcher = new diffMatchPatch.diff_match_patch();
const patchOf = (before: string, after: string) => patcher.patch_toText(patcher.patch_make(before, after));

describe("runner", () => {
  const root = mkdtempSync(join(tmpdir(), "devex-runner-"));
  const outside = mkdtempSync(join(tmpdir(), "devex-outside-"));
  let runner: Awaited<ReturnType<typeof startRunner>>;
  let url: string;
  let ticket: string;
  let tickets: Awaited<ReturnType<typeof createTickets>>;
  let program: Server;
  let programPort: number;
  let editor: EditorClient;

  beforeAll(async () => {
    tickets = await createTickets(["a secret for tests that is long enough"], 60);
    ticket = await tickets.issue("repl-x", "7");
    const port = await freePort();
    runner = await startRunner({
      replId: "repl-x",
      sessionId: "session-x",
      userId: "7",
      publicKey: tickets.publicKey,
      allowedOrigins: ["http://front.example"],
      port,
      folder: root,
      shell: "/bin/bash",
      environment: { PATH: process.env["PATH"] ?? "", LANG: "C.UTF-8" },
      previewDomain: "previews.example",
      secure: false,
      closingMarker: join(outside, "closing"),
    });
    url = `http://localhost:${port}/repl-x/`;
    program = createServer((request, response) => {
      const { searchParams } = new URL(`http://program${request.url}`);
      const [to, cookie] = [searchParams.get("redirect"), searchParams.get("cookie")];
      if (cookie) response.setHeader("set-cookie", cookie.split("|"));
      if (to) {
        response.writeHead(302, { location: to }).end();
        return;
      }
      if (request.url === "/events") {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write("data: first\n\n");
        return;
      }
      response.setHeader(
        "x-seen",
        JSON.stringify({
          url: request.url,
          prefix: request.headers["x-forwarded-prefix"],
          cookie: request.headers.cookie,
        }),
      );
      response.end("from the program");
    });
    const echo = new WebSocketServer({ server: program });
    echo.on("connection", (socket) => socket.on("message", (data: Buffer) => socket.send(`echo ${data.toString()}`)));
    await new Promise<void>((resolve) => program.listen(0, () => resolve()));
    programPort = (program.address() as AddressInfo).port;
  });
  beforeEach(async () => {
    for (const name of readdirSync(root)) rmSync(join(root, name), { recursive: true, force: true });
    editor = await connectEditor(url, ticket);
  });
  afterAll(async () => {
    await runner.stop();
    program.closeAllConnections();
    program.close();
  });

  describe("files", () => {
    it("are listed, folders first, also when there are none", async () => {
      expect(await editor.ask("Connection", {}, "Loaded")).toEqual({ rootContents: [], publicPorts: [] });
      mkdirSync(join(root, "src"));
      writeFileSync(join(root, "a.txt"), "");
      symlinkSync("src", join(root, "alias"));
      expect(await editor.ask("Connection", {}, "Loaded")).toMatchObject({
        rootContents: [
          { name: "alias", isDir: true },
          { name: "src", isDir: true },
          { name: "a.txt", isDir: false },
        ],
      });
      expect(await editor.ask("fetchDir", { dir: "/src" })).toEqual({ contents: [], path: "/src" });
    });

    it("are read as text, or say that they are not", async () => {
      writeFileSync(join(root, "crlf.txt"), "a\r\nü\r\n");
      writeFileSync(join(root, "binary"), Buffer.from([0, 1, 2]));
      writeFileSync(join(root, "empty"), "");
      expect(await editor.ask("fetchContent", { path: "/crlf.txt" })).toEqual({
        content: "a\r\nü\r\n",
        path: "/crlf.txt",
      });
      expect(await editor.ask("fetchContent", { path: "empty" })).toEqual({ content: "", path: "empty" });
      await expect(editor.ask("fetchContent", { path: "binary" })).rejects.toThrow("binary is not a text file");
      await expect(editor.ask("fetchContent", { path: "missing" })).rejects.toThrow("missing does not exist");
      await expect(editor.ask("fetchContent", {})).rejects.toThrow("path: a text is needed");
    });

    it("are edited in order, with their mode kept", async () => {
      writeFileSync(join(root, "run.sh"), "");
      chmodSync(join(root, "run.sh"), 0o750);
      // No emoji: the library cuts the text around an edit inside of one and then cannot write the patch.
      const typed = [..."echo 'grüße € ?'\n".repeat(20)];
      for (let index = 0; index < typed.length; index++)
        editor.send("updateContent", {
          path: "run.sh",
          patch: patchOf(typed.slice(0, index).join(""), typed.slice(0, index + 1).join("")),
        });
      for (let index = 0; index < typed.length; index++)
        await editor.next((frame) => frame.event === "updateContentResponse" && frame.data["success"] === true);
      expect(readFileSync(join(root, "run.sh"), "utf8")).toBe(typed.join(""));
      expect(statSync(join(root, "run.sh")).mode & 0o777).toBe(0o750);
    });

    it("are not half edited when a hunk does not fit", async () => {
      const before = `${"first part ".repeat(30)}\n${"second part ".repeat(30)}`;
      writeFileSync(join(root, "a"), "something else entirely");
      await expect(
        editor.ask("updateContent", {
          path: "a",
          patch: patchOf(before, before.replace("first", "1st").replace("second", "2nd")),
        }),
      ).rejects.toThrow("has changed");
      expect(readFileSync(join(root, "a"), "utf8")).toBe("something else entirely");
      await expect(editor.ask("updateContent", { path: "a", patch: "no patch" })).rejects.toThrow();
    });

    it("are created, renamed and deleted, and never overwritten", async () => {
      await editor.ask("createFile", { path: "deep/er/a.txt" });
      await editor.ask("createFolder", { path: "/folder" });
      writeFileSync(join(root, "deep/er/a.txt"), "content");
      await expect(editor.ask("createFile", { path: "deep/er/a.txt" })).rejects.toThrow("exists already");
      expect(await editor.ask("rename", { oldPath: "deep/er/a.txt", newPath: "folder/b.txt" })).toEqual({
        success: true,
        oldPath: "deep/er/a.txt",
        newPath: "folder/b.txt",
      });
      expect(readFileSync(join(root, "folder/b.txt"), "utf8")).toBe("content");
      await editor.ask("rename", { oldPath: "folder/b.txt", newPath: "new/deep/b.txt" });
      await editor.ask("rename", { oldPath: "new/deep/b.txt", newPath: "folder/b.txt" });
      await editor.ask("createFile", { path: "c.txt" });
      await expect(editor.ask("rename", { oldPath: "c.txt", newPath: "folder/b.txt" })).rejects.toThrow(
        "exists already",
      );
      expect(await editor.ask("delete", { path: "folder" })).toEqual({ success: true, path: "folder" });
      await expect(editor.ask("delete", { path: "folder" })).rejects.toThrow("does not exist");
      for (const path of ["", "/", ".", "a/.."])
        await expect(editor.ask("delete", { path })).rejects.toThrow("cannot be deleted");
    });

    it("are copied, cut and pasted by a clipboard of each editor", async () => {
      mkdirSync(join(root, "src/deep"), { recursive: true });
      mkdirSync(join(root, "to"));
      writeFileSync(join(root, "src/deep/run.sh"), "echo", { mode: 0o755 });
      symlinkSync("deep/run.sh", join(root, "src/link"));
      await expect(editor.ask("paste", { targetPath: "to" })).rejects.toThrow("nothing was copied or cut");
      expect(await editor.ask("copy", { sourcePath: "/src" })).toEqual({ success: true, sourcePath: "/src" });
      expect(await editor.ask("paste", { targetPath: "to" })).toEqual({
        success: true,
        targetPath: "to",
        path: "to/src",
      });
      expect(await editor.ask("paste", { targetPath: "to" })).toMatchObject({ path: "to/src (2)" });
      expect(statSync(join(root, "to/src (2)/deep/run.sh")).mode & 0o777).toBe(0o755);
      expect(readlinkSync(join(root, "to/src/link"))).toBe("deep/run.sh");
      expect(await editor.ask("copy", { sourcePath: "src/deep/run.sh", targetPath: "src/deep/run.sh" })).toMatchObject({
        path: "src/deep/run (2).sh",
      });
      await editor.ask("cut", { sourcePath: "src" });
      await expect(editor.ask("paste", { targetPath: "to" })).rejects.toThrow("to/src exists already");
      expect(await editor.ask("paste", { targetPath: "moved" })).toMatchObject({ path: "moved" });
      expect(readdirSync(root).sort()).toEqual(["moved", "to"]);
      await expect(editor.ask("paste", { targetPath: "to" })).rejects.toThrow("nothing was copied or cut");
      await editor.ask("copy", { sourcePath: "to" });
      await expect(editor.ask("paste", { targetPath: "to" })).rejects.toThrow("into itself");
      symlinkSync(outside, join(root, "out"));
      await expect(editor.ask("copy", { sourcePath: "moved", targetPath: "out" })).rejects.toThrow("outside");
      await expect(editor.ask("copy", { sourcePath: "out/closing" })).resolves.toBeDefined();
      await expect(editor.ask("paste", { targetPath: "x" })).rejects.toThrow("outside");
      const other = await connectEditor(url, ticket);
      await expect(other.ask("paste", { targetPath: "to" })).rejects.toThrow("nothing was copied or cut");
      await other.close();
    });
    it("are edited by two editors at once without one undoing the other", async () => {
      writeFileSync(join(root, "both.txt"), "first\n\n\n\n\n\n\nlast\n");
      const other = await connectEditor(url, ticket);
      const before = readFileSync(join(root, "both.txt"), "utf8");
      await Promise.all([
        editor.ask("updateContent", { path: "both.txt", patch: patchOf(before, before.replace("first", "FIRST")) }),
        other.ask("updateContent", { path: "both.txt", patch: patchOf(before, before.replace("last", "LAST")) }),
      ]);
      expect(readFileSync(join(root, "both.txt"), "utf8")).toBe("FIRST\n\n\n\n\n\n\nLAST\n");
      await other.close();
    });
    it("that others change are told of, and one's own changes are not", async () => {
      writeFileSync(join(root, "old.txt"), "old");
      const other = await connectEditor(url, ticket);
      await editor.ask("Connection", {}, "Loaded");
      await other.ask("Connection", {}, "Loaded");
      const heard = (client: EditorClient, path: string, kind: string) =>
        client.next(({ event, data }) => event === "fileChanged" && data["path"] === path && data["kind"] === kind);
      writeFileSync(join(root, "new.txt"), "from a terminal");
      await heard(editor, "new.txt", "created");
      await editor.ask("createFile", { path: "/by-me.txt" });
      await heard(other, "by-me.txt", "created");
      rmSync(join(root, "old.txt"));
      await heard(editor, "old.txt", "deleted");
      await heard(other, "old.txt", "deleted");
      // By now what was told of the other changes has long arrived.
      const seen = await editor
        .next(({ event, data }) => event === "fileChanged" && data["path"] === "by-me.txt", 300)
        .catch(() => undefined);
      expect(seen).toBeUndefined();
      await other.close();
    });
    it("that change by the thousand are told of as one", async () => {
      await editor.ask("Connection", {}, "Loaded");
      mkdirSync(join(root, "many"));
      for (let number = 0; number < 1000; number++) writeFileSync(join(root, "many", `${number}`), "");
      const { data } = await editor.next(({ event, data: { path } }) => event === "fileChanged" && path === "");
      expect(data).toEqual({ path: "", kind: "changed" });
    });
    it("never leave the workspace, not through a link either", async () => {
      writeFileSync(join(outside, "secret"), "secret");
      symlinkSync(outside, join(root, "out"));
      symlinkSync(join(outside, "secret"), join(root, "file"));
      for (const path of ["../secret", "/../../etc/passwd", "out/secret", "file", "out", "a\0b"])
        await expect(editor.ask("fetchContent", { path }), path).rejects.toThrow();
      await expect(editor.ask("fetchDir", { Dir: "out" })).rejects.toThrow("outside");
      await expect(editor.ask("createFile", { path: "out/new" })).rejects.toThrow("outside");
      await expect(editor.ask("createFile", { path: "out/deep/new" })).rejects.toThrow();
      await expect(editor.ask("delete", { path: "out/secret" })).rejects.toThrow("outside");
      await expect(editor.ask("rename", { oldPath: "out/secret", newPath: "mine" })).rejects.toThrow("outside");
      await expect(editor.ask("updateContent", { path: "file", patch: patchOf("secret", "changed") })).rejects.toThrow(
        "outside",
      );
      await editor.ask("delete", { path: "out" });
      expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
      expect(existsSync(join(outside, "deep"))).toBe(false);
    });
  });

  async function openSocket(): Promise<WebSocket> {
    const socket = new WebSocket(`${url.replace("http", "ws")}api/v1/repl/ws?ticket=${ticket}`);
    await once(socket, "open");
    return socket;
  }

  describe("messages", () => {
    it("that are too large end their own connection, with the reason, and nobody else's", async () => {
      const socket = await openSocket();
      const closed = once(socket, "close") as Promise<[number]>;
      socket.send("x".repeat(maximumMessageBytes + 1));
      expect((await closed)[0]).toBe(1009);
      await editor.ask("Connection", {}, "Loaded");
    });

    it.each([
      "no json",
      "[]",
      "null",
      '{"event":5}',
      '{"event":"nothing"}',
      '{"event":"__proto__","data":{}}',
      '{"event":"fetchContent"}',
    ])("that make no sense (%s) are answered, and the next one works", async (text) => {
      const socket = await openSocket();
      const answers: string[] = [];
      socket.on("message", (data: Buffer) => answers.push((JSON.parse(data.toString()) as { event: string }).event));
      socket.send(text);
      socket.send('{"event":"Connection"}');
      await expect
        .poll(() => answers.filter((event) => event !== "fileChanged"))
        .toEqual([text.includes("fetchContent") ? "fetchContentResponse" : "error", "Loaded"]);
      socket.close();
    });
  });

  describe("terminals", () => {
    it("run a shell in the workspace and take its size", async () => {
      const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
      await editor.type(sessionId, "pwd; echo $TERM; stty size; tty -s && echo terminal-yes", "terminal-yes\r\n");
      editor.send("terminalResize", { sessionId, cols: 132, rows: 43 });
      await editor.type(sessionId, "stty size", "43 132");
      editor.send("terminalInput", { sessionId, data: "exit\r" });
      await editor.next((frame) => frame.event === "terminalClosed");
      editor.send("terminalInput", { sessionId, data: "x" });
      expect((await editor.next((frame) => frame.event === "terminalError")).data).toEqual({
        error: "this terminal is closed",
      });
    });

    it("have taken what came before a ping when that is answered", async () => {
      const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
      editor.send("terminalInput", { sessionId, data: "exit 3\r" });
      await editor.ask("ping", {});
      expect((await editor.next((frame) => frame.event === "terminalClosed")).data["exitCode"]).toBe(3);
    });

    it("live on through a reload, and replay", async () => {
      const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
      await editor.type(sessionId, "x=alive; echo bef''ore", "before");
      await editor.close();
      const again = await connectEditor(url, ticket);
      expect(await again.ask("requestTerminal", { sessionId }, "terminalConnected")).toEqual({ sessionId });
      expect(String((await again.next((frame) => frame.event === "terminalResponse")).data)).toContain("before");
      await again.type(sessionId, "echo still-$x", "still-alive");
      again.send("closeTerminal", { sessionId });
      await again.next((frame) => frame.event === "terminalClosed");
      await again.close();
    });

    it("end when they are closed, also a shell that does not want to", async () => {
      const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
      await editor.type(sessionId, "trap '' HUP TERM; echo rea''dy", "ready");
      editor.send("closeTerminal", { sessionId });
      await editor.next((frame) => frame.event === "terminalClosed");
    });

    it("drop nothing and cut no character, however much comes", async () => {
      const { sessionId } = await editor.ask("requestTerminal", { tagged: true }, "terminalConnected");
      editor.send("terminalInput", {
        sessionId,
        data: "stty -echo; echo; seq -f 'zeile ü 👋 %.0f' 1 20000; echo fin''ished\r",
      });
      let output = "";
      while (!output.includes("finished")) {
        const frame = await editor.next(
          (candidate) => candidate.event === "terminalResponse" && candidate.data["sessionId"] === sessionId,
        );
        output += String(frame.data["data"]);
      }
      const lines = output.split("\r\n").filter((line) => line.startsWith("zeile"));
      expect(lines).toHaveLength(20_000);
      expect(lines[12_344]).toBe("zeile ü 👋 12345");
      editor.send("closeTerminal", { sessionId });
    });

    it("wait for a page that reads slowly, without loss, without taking memory, and without holding others up", async () => {
      const lines = 8_000_000;
      const socket = await openSocket();
      const events = on(socket, "message") as AsyncIterableIterator<[Buffer]>;
      const send = (event: string, data: unknown) => socket.send(JSON.stringify({ event, data }));
      send("requestTerminal", { tagged: true });
      let sessionId: string | undefined;
      let tail = "";
      let expected = 1;
      let [hasBegun, isPaused] = [false, false];
      let [before, most] = [0, 0];
      for await (const [text] of events) {
        const { event, data } = JSON.parse(text.toString()) as { event: string; data: Record<string, string> };
        if (event === "terminalConnected") {
          sessionId = data["sessionId"];
          send("terminalInput", { sessionId, data: `stty -echo; PS1=; echo be''gin; seq 1 ${lines}; echo e''nd\r` });
        }
        if (event !== "terminalResponse") continue;
        tail += data["data"];
        if (!hasBegun) {
          if (!tail.includes("begin\r\n")) continue;
          tail = tail.slice(tail.indexOf("begin\r\n") + "begin\r\n".length);
          hasBegun = true;
        }
        const complete = tail.split("\r\n");
        tail = complete.pop() ?? "";
        for (const line of complete)
          if (line !== "end" && line !== String(expected++))
            throw new Error(`${line} came where ${expected - 1} was due`);
        if (complete.includes("end")) break;
        if (isPaused || expected < 1000) continue;
        isPaused = true;
        socket.pause();
        before = process.memoryUsage().rss;
        const other = await editor.ask("requestTerminal", {}, "terminalConnected");
        for (let look = 0; look < 10; look++) {
          await delay(100);
          most = Math.max(most, process.memoryUsage().rss);
        }
        await editor.type(other["sessionId"], "echo not-held-''up", "not-held-up");
        editor.send("closeTerminal", other);
        socket.resume();
      }
      expect(expected).toBe(lines + 1);
      // All that is still to come is twice as much.
      expect((most - before) / 2 ** 20).toBeLessThan(32);
      socket.close();
    });
  });

  const socketStatus = (path: string, headers: Record<string, string> = {}) =>
    new Promise<number>((resolve) => {
      const socket = new WebSocket(url.replace("http", "ws") + path, { headers });
      socket.on("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
      socket.on("open", () => {
        resolve(101);
        socket.close();
      });
      socket.on("error", () => {});
    });

  describe("access", () => {
    it("takes a ticket that is signed with two secrets while one replaces the other", async () => {
      const secrets = ["the next secret, which this runner does not know", "a secret for tests that is long enough"];
      const twice = await (await createTickets(secrets, 60)).issue("repl-x", "7");
      expect(await socketStatus(`api/v1/repl/ws?ticket=${twice}`)).toBe(101);
      expect(await socketStatus("api/v1/repl/ws", { cookie: `devex_repl=${twice}` })).toBe(101);
    });

    it("needs a ticket of ours for this REPL and its owner", async () => {
      const others = await createTickets(["another secret that is long enough too"], 60);
      const expired = await createTickets(["a secret for tests that is long enough"], -60);
      const bad = [
        "",
        "x",
        await tickets.issue("repl-y", "7"),
        await tickets.issue("repl-x", "8"),
        await others.issue("repl-x", "7"),
        await expired.issue("repl-x", "7"),
      ];
      for (const token of bad) {
        expect((await fetch(`${url}?ticket=${token}`, { redirect: "manual" })).status).toBe(401);
        expect(await socketStatus(`api/v1/repl/ws?ticket=${token}`)).toBe(401);
        expect(await socketStatus("api/v1/repl/ws", { cookie: `devex_repl=${token}` })).toBe(401);
        expect(
          (await fetch(`${url}user-app/${programPort}/`, { headers: { cookie: `devex_repl=${token}` } })).status,
        ).toBe(401);
        expect(await socketStatus(`user-app/${programPort}/`, { cookie: `devex_repl=${token}` })).toBe(401);
      }
      expect(await socketStatus("api/v1/repl/ws", { cookie: `a=b; devex_repl=${ticket}` })).toBe(101);
    });

    it("refuses sockets from foreign pages", async () => {
      expect(await socketStatus(`api/v1/repl/ws?ticket=${ticket}`, { origin: "http://evil.example" })).toBe(403);
      expect(await socketStatus(`api/v1/repl/ws?ticket=${ticket}`, { origin: "http://front.example" })).toBe(101);
    });

    it("exchanges the ticket for a cookie and takes it out of the address", async () => {
      const response = await fetch(`${url}user-app/${programPort}/x?a=1&ticket=${ticket}`, { redirect: "manual" });
      expect(response.status).toBe(302);
      expect(response.headers.get("location")).toBe(`/repl-x/user-app/${programPort}/x?a=1`);
      expect(response.headers.get("set-cookie")).toBe(`devex_repl=${ticket}; Path=/repl-x/; HttpOnly; SameSite=Lax`);
    });

    it("tells what people do to whoever is in the same pod, and to nobody else", async () => {
      const answer = await fetch(`${url.replace("localhost", "127.0.0.1")}activity`);
      const { connections, lastActivityAt } = (await answer.json()) as { connections: number; lastActivityAt: string };
      expect(connections).toBeGreaterThan(0);
      expect(Date.parse(lastActivityAt)).toBeGreaterThan(Date.now() - 60_000);
      const other = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .find(({ family, internal }) => family === "IPv4" && !internal);
      if (!other) throw new Error("this machine has no address but its own");
      expect((await fetch(`${url.replace("localhost", other.address)}activity`)).status).toBe(404);
    });

    it("answers ping to anyone, and nothing outside its base path", async () => {
      const pong = await fetch(`${url}ping`);
      expect(await pong.json()).toBe("pong");
      expect(pong.headers.get("devex-session")).toBe("session-x");
      expect((await fetch(new URL("/repl-other/ping", url))).status).toBe(404);
      expect((await fetch(new URL("/", url))).status).toBe(404);
    });
  });

  describe("files by HTTP", () => {
    const at = (path: string) => `${url}api/v1/files/${path}`;
    const bearer = (more: Record<string, string> = {}) => ({ authorization: `Bearer ${ticket}`, ...more });
    const put = (path: string, body: string | Buffer, more?: Record<string, string>) =>
      fetch(at(path), {
        method: "PUT",
        body: typeof body === "string" ? body : new Uint8Array(body),
        headers: bearer(more),
      });

    it("come and go whole, in parts, and of any kind", async () => {
      const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256));
      const stored = await put("new/folder/r%20%C3%A4.bin", bytes);
      expect([stored.status, (await put("new/folder/r%20%C3%A4.bin", bytes)).status]).toEqual([201, 204]);
      expect(readFileSync(join(root, "new/folder/r ä.bin")).equals(bytes)).toBe(true);
      const whole = await fetch(at("new/folder/r%20%C3%A4.bin"), { headers: bearer() });
      expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
      expect(whole.headers.get("content-disposition")).toBe("attachment");
      const part = await fetch(at("new/folder/r%20%C3%A4.bin"), { headers: bearer({ range: "bytes=1000-1009" }) });
      expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 1000-1009/300000"]);
      expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(1000, 1010))).toBe(true);
      writeFileSync(join(root, ".env"), "dot");
      expect(await (await fetch(`${at(".env")}?ticket=${ticket}`)).text()).toBe("dot");
    });
    it("are not stored over what somebody else has changed, nor where only a new file may be", async () => {
      writeFileSync(join(root, "a.txt"), "one", { mode: 0o755 });
      const tag = (await fetch(at("a.txt"), { headers: bearer() })).headers.get("etag") ?? "";
      expect((await put("a.txt", "two", { "if-match": tag })).status).toBe(204);
      expect((await put("a.txt", "three", { "if-match": tag })).status).toBe(412);
      expect((await put("a.txt", "three", { "if-none-match": "*" })).status).toBe(412);
      expect([readFileSync(join(root, "a.txt"), "utf8"), statSync(join(root, "a.txt")).mode & 0o777]).toEqual([
        "two",
        0o755,
      ]);
      expect((await put("b.txt", "new", { "if-none-match": "*" })).status).toBe(201);
      expect(readdirSync(root).sort()).toEqual(["a.txt", "b.txt"]);
    });
    it("change nothing when an upload breaks off", async () => {
      writeFileSync(join(root, "a.txt"), "whole");
      const over = new AbortController();
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(Buffer.alloc(1000)),
      });
      const options = { method: "PUT", body, duplex: "half", signal: over.signal, headers: bearer() };
      const sending = fetch(at("a.txt"), options as RequestInit);
      await expect.poll(() => readdirSync(root)).toHaveLength(2);
      over.abort();
      await expect(sending).rejects.toThrow();
      await expect.poll(() => readdirSync(root)).toEqual(["a.txt"]);
      expect(readFileSync(join(root, "a.txt"), "utf8")).toBe("whole");
    });
    it("say what is wrong, and never leave the workspace", async () => {
      symlinkSync(outside, join(root, "out"));
      symlinkSync(join(outside, "new"), join(root, "dangling"));
      mkdirSync(join(root, "folder"));
      writeFileSync(join(outside, "secret"), "secret");
      const get = async (path: string) => (await fetch(at(path), { headers: bearer() })).status;
      expect(await get("out/secret")).toBe(400);
      expect(await get("..%2f..%2fetc%2fpasswd")).toBe(404);
      expect(await get("absent")).toBe(404);
      expect(await get("folder")).toBe(400);
      expect(await get("%zz")).toBe(400);
      expect((await put("out/new", "x")).status).toBe(400);
      expect((await put("dangling", "x")).status).toBeGreaterThanOrEqual(400);
      expect((await put("folder", "x")).status).toBe(400);
      expect((await put("", "x")).status).toBe(400);
      expect(existsSync(join(outside, "new"))).toBe(false);
      expect((await fetch(at("a"), { method: "DELETE", headers: bearer() })).status).toBe(405);
    });
    it("need the ticket itself: the cookie comes from every page of this origin", async () => {
      writeFileSync(join(root, "a.txt"), "mine");
      const withCookie = await fetch(at("a.txt"), { headers: { cookie: `devex_repl=${ticket}` } });
      expect(withCookie.status).toBe(401);
      const foreign = { origin: "http://evil.example" };
      expect((await fetch(at("a.txt"), { headers: bearer(foreign) })).status).toBe(403);
      const front = await fetch(at("a.txt"), { headers: bearer({ origin: "http://front.example" }) });
      expect(front.headers.get("access-control-allow-origin")).toBe("http://front.example");
      const asked = await fetch(at("a.txt"), { method: "OPTIONS", headers: { origin: "http://front.example" } });
      expect([asked.status, asked.headers.get("access-control-allow-methods")]).toEqual([204, "GET, HEAD, PUT"]);
    });
  });

  describe("previews", () => {
    const headers = () => ({ cookie: `mine=1; devex_repl=${ticket}` });
    it("pass requests on, without our cookie", async () => {
      const response = await fetch(`${url}user-app/${programPort}/some/path?q=a%20b`, { headers: headers() });
      expect(await response.text()).toBe("from the program");
      expect(JSON.parse(response.headers.get("x-seen") ?? "")).toEqual({
        url: "/some/path?q=a%20b",
        prefix: `/repl-x/user-app/${programPort}`,
        cookie: "mine=1",
      });
    });
    it("pass sockets on", async () => {
      const socket = new WebSocket(`${url.replace("http", "ws")}user-app/${programPort}/live`, { headers: headers() });
      await new Promise((resolve) => socket.once("open", resolve));
      const answer = new Promise((resolve) => socket.once("message", (data: Buffer) => resolve(data.toString())));
      socket.send("hello");
      expect(await answer).toBe("echo hello");
      socket.close();
    });
    it("keep redirects and cookies of a program inside, also of one that knows nothing of its prefix", async () => {
      const prefix = `/repl-x/user-app/${programPort}`;
      const { host } = new URL(url);
      const ask = (query: Record<string, string>) =>
        fetch(`${url}user-app/${programPort}/?${new URLSearchParams(query).toString()}`, {
          headers: headers(),
          redirect: "manual",
        });
      for (const [location, expected] of [
        ["/login?next=/", `${prefix}/login?next=/`],
        [`${prefix}/login`, `${prefix}/login`],
        [`${prefix}2`, `${prefix}${prefix}2`],
        ["next", "next"],
        [`http://localhost:${programPort}/a#b`, `${prefix}/a#b`],
        [`http://${host}/a`, `${prefix}/a`],
        ["https://elsewhere.example/a", "https://elsewhere.example/a"],
        ["//elsewhere.example/a", "//elsewhere.example/a"],
      ] as const)
        expect((await ask({ redirect: location })).headers.get("location"), location).toBe(expected);
      const cookies = ["a=1", "b=2; Path=/app; HttpOnly", `c=3; path=${prefix}/x`, "d=4; Domain=example.org; Secure"];
      const answer = await ask({ cookie: [...cookies, "devex_repl=stolen; Path=/"].join("|") });
      expect(answer.headers.getSetCookie()).toEqual([
        `a=1; Path=${prefix}/`,
        `b=2; Path=${prefix}/app; HttpOnly`,
        `c=3; Path=${prefix}/x`,
        `d=4; Path=${prefix}/; Secure`,
      ]);
    });
    it("pass on what is sent bit by bit, as it comes", async () => {
      const over = new AbortController();
      const response = await fetch(`${url}user-app/${programPort}/events`, { headers: headers(), signal: over.signal });
      const { value } = (await response.body?.getReader().read()) ?? {};
      expect(Buffer.from(value ?? []).toString()).toBe("data: first\n\n");
      over.abort();
    });
    it("are for their owner, until a port is shared; then strangers' browsers give the page no origin", async () => {
      const at = `${url}user-app/${programPort}/`;
      expect((await fetch(at)).status).toBe(401);
      expect(await editor.ask("sharePort", { port: programPort, isPublic: true })).toEqual({
        success: true,
        port: programPort,
        isPublic: true,
      });
      const shared = await fetch(at);
      expect(await shared.text()).toBe("from the program");
      expect(shared.headers.get("content-security-policy")).toMatch(/^sandbox (?!.*allow-same-origin)/);
      expect((await fetch(at, { headers: headers() })).headers.get("content-security-policy")).toBeNull();
      expect((await fetch(`${url}user-app/${programPort + 1}/`)).status).toBe(401);
      const socket = new WebSocket(`${at.replace("http", "ws")}live`, { origin: "null" });
      await new Promise((resolve) => socket.once("open", resolve));
      socket.close();
      await editor.ask("sharePort", { port: programPort, isPublic: false });
      expect((await fetch(at)).status).toBe(401);
      await expect(editor.ask("sharePort", { port: 80, isPublic: true })).rejects.toThrow("1024");
    });
    describe("at a host of their own", () => {
      const host = (port = programPort) => `${port}-repl-x.previews.example`;
      const ask = (path: string, given: Record<string, string> = {}, at = host()) =>
        fetchAt(new URL(path, url), { headers: { host: at, ...given } });

      it("are the program's from the root on, with redirects and cookies as it makes them", async () => {
        const seen = await ask("/some/path?q=1", headers());
        expect([seen.statusCode, await seen.body.text()]).toEqual([200, "from the program"]);
        expect(JSON.parse(String(seen.headers["x-seen"]))).toEqual({ url: "/some/path?q=1", cookie: "mine=1" });
        const redirected = await ask(
          `/?redirect=${encodeURIComponent(`http://localhost:${programPort}/login`)}`,
          headers(),
        );
        expect(redirected.headers["location"]).toBe("/login");
        const cookie = await ask(
          `/?cookie=${encodeURIComponent("session=1; Path=/deep; Domain=previews.example")}`,
          headers(),
        );
        expect(cookie.headers["set-cookie"]).toBe("session=1; Path=/deep");
      });

      it("take a ticket for a cookie of this host alone", async () => {
        const answer = await ask(`/page?ticket=${ticket}&a=b`);
        expect([answer.statusCode, answer.headers["location"]]).toEqual([302, "/page?a=b"]);
        expect(answer.headers["set-cookie"]).toBe(`devex_repl=${ticket}; Path=/; HttpOnly; SameSite=Lax`);
        const { headers: elsewhere } = await fetchAt(`${new URL(url).origin}//evil.example/?ticket=${ticket}`, {
          headers: { host: host() },
        });
        expect(elsewhere["location"]).toBe("/evil.example/");
      });

      it("can be framed by a page of another site, whose cookie it then is", async () => {
        const framed = { "sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site" };
        const answer = await ask(`/?ticket=${ticket}`, framed);
        const cookie = `devex_repl=${ticket}; Path=/; HttpOnly; SameSite=None; Secure; Partitioned`;
        expect(answer.headers["set-cookie"]).toBe(cookie);
      });

      it("are for their owner, until the port is shared; a page for strangers keeps its origin", async () => {
        expect((await ask("/")).statusCode).toBe(401);
        expect((await ask("/", { cookie: "devex_repl=wrong" })).statusCode).toBe(401);
        expect((await ask("/", headers(), `${programPort}-repl-y.previews.example`)).statusCode).toBe(404);
        expect((await ask("/", headers(), host(22))).statusCode).toBe(404);
        await editor.ask("sharePort", { port: programPort, isPublic: true });
        const open = await ask("/");
        expect([open.statusCode, open.headers["content-security-policy"]]).toEqual([200, undefined]);
        await editor.ask("sharePort", { port: programPort, isPublic: false });
        expect((await ask("/")).statusCode).toBe(401);
      });

      it("take sockets from their own pages and not from others'", async () => {
        const status = (origin: string) =>
          new Promise<number>((resolve) => {
            const socket = new WebSocket(new URL("/live", url.replace("http", "ws")), {
              headers: { ...headers(), host: host(), origin },
            });
            socket.on("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
            socket.on("open", () => (resolve(101), socket.close()));
            socket.on("error", () => {});
          });
        expect(await status(`http://${host()}`)).toBe(101);
        expect(await status("http://evil.example")).toBe(403);
        expect(await status(`http://${programPort}-repl-y.previews.example`)).toBe(403);
      });
    });

    it("show people a page that waits", async () => {
      const page = await fetch(`${url}user-app/1024/`, { headers: { ...headers(), accept: "text/html,*/*" } });
      expect([page.status, page.headers.get("content-type")]).toEqual([502, "text/html; charset=utf-8"]);
      expect(await page.text()).toContain('http-equiv="refresh"');
    });
    it("say so while nothing listens, and go to no port of the system or our own", async () => {
      const response = await fetch(`${url}user-app/9/`, { headers: headers() });
      expect(response.status).toBe(404);
      expect((await fetch(`${url}user-app/${new URL(url).port}/repl-x/ping`, { headers: headers() })).status).toBe(404);
      expect((await fetch(`${url}user-app/99999/`, { headers: headers() })).status).toBe(404);
      const waiting = await fetch(`${url}user-app/1024/`, { headers: headers() });
      expect(waiting.status).toBe(502);
      expect(await waiting.text()).toContain("Nothing answers on port 1024 yet");
    });
  });

  describe("closing", () => {
    const closingMarker = join(outside, "closing");
    afterAll(() => rmSync(closingMarker, { force: true }));

    it("is not for whoever asks", async () => {
      const response = await fetch(`${url}stop`, { method: "POST" });
      expect(response.status).toBe(403);
      expect(await socketStatus(`api/v1/repl/ws?ticket=${ticket}`)).toBe(101);
    });

    it("ends everything, once what was typed before is on the disk, and lets nobody in again", async () => {
      const typist = await connectEditor(url, ticket);
      await typist.ask("createFolder", { path: "typed" });
      const { sessionId } = await typist.ask("requestTerminal", {}, "terminalConnected");
      await typist.type(sessionId, "echo rea''dy", "ready");
      writeFileSync(closingMarker, "");
      for (let file = 0; file < 50; file++) typist.send("createFile", { path: `typed/${file}` });
      await typist.next(({ data }) => data?.["path"] === "typed/0");
      const response = await fetch(`${url}stop`, { method: "POST" });
      expect(await response.json()).toEqual({ killed: 0 });
      const typed = readdirSync(join(root, "typed")).length;
      expect(typed).toBeGreaterThan(0);
      await typist.closed();
      expect(readdirSync(join(root, "typed"))).toHaveLength(typed);
      expect(await socketStatus(`api/v1/repl/ws?ticket=${ticket}`)).toBe(503);
      const preview = await fetch(`${url}user-app/${programPort}/`, { headers: { cookie: `devex_repl=${ticket}` } });
      expect(preview.status).toBe(503);
    });
  });
});
