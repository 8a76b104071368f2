import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { isTemporaryName } from "../../../runner/replace-file.ts";
import { connectEditor } from "../../../tools/editor-client.ts";
import { root, outside, url, ticket, programPort, socketStatus } from "./running-runner.ts";

describe("the runner: closing", () => {
  const closingMarker = join(outside, "closing");
  afterEach(() => rmSync(closingMarker, { force: true }));

  it("is not for whoever asks", async () => {
    const response = await fetch(`${url}stop`, { method: "POST" });
    expect(response.status).toBe(403);
    expect(await socketStatus(`api/v1/repl/ws?ticket=${ticket}`)).toBe(101);
  });

  /** An upload of which half has come; `go` sends the rest. */
  async function halfAnUpload(name: string) {
    let go = () => {};
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from("half "));
        go = () => {
          controller.enqueue(Buffer.from("and half"));
          controller.close();
        };
      },
    });
    const options = { method: "PUT", body, duplex: "half", headers: { authorization: `Bearer ${ticket}` } };
    const status = fetch(`${url}api/v1/files/${name}`, options as RequestInit).then(
      (response) => response.status,
      () => "broken off",
    );
    await expect.poll(() => readdirSync(root).some(isTemporaryName)).toBe(true);
    return { go: () => go(), status };
  }

  it("acknowledges no upload that comes to its end after the close has begun", async () => {
    const upload = await halfAnUpload("late");
    writeFileSync(closingMarker, "");
    upload.go();
    expect(await upload.status).toBe(503);
    expect(readdirSync(root)).toEqual([]);
  });

  it("waits for uploads, so that nothing is stored after it: each is whole and acknowledged, or gone", async () => {
    const upload = await halfAnUpload("late");
    writeFileSync(closingMarker, "");
    expect((await fetch(`${url}stop`, { method: "POST" })).status).toBe(200);
    expect(readdirSync(root)).toEqual([]);
    upload.go();
    expect(["broken off", 503]).toContain(await upload.status);
    expect(readdirSync(root)).toEqual([]);
  });

  it("acknowledges no change that it makes after the close has begun, and makes none that waits", async () => {
    mkdirSync(join(root, "tree"));
    for (let folder = 0; folder < 3000; folder++) mkdirSync(join(root, "tree", String(folder)));
    const typist = await connectEditor(url, ticket);
    typist.send("copy", { sourcePath: "tree", targetPath: "" });
    typist.send("createFile", { path: "waits" });
    await expect.poll(() => readdirSync(root).length).toBeGreaterThan(1);
    writeFileSync(closingMarker, "");
    const answers: unknown[] = [];
    const heard = typist.next(({ event, data }) => {
      if (event.endsWith("Response")) answers.push(data);
      return false;
    });
    heard.catch(() => {});
    await expect.poll(async () => (await fetch(`${url}stop`, { method: "POST" })).status).toBe(200);
    await typist.closed();
    expect(existsSync(join(root, "waits"))).toBe(false);
    expect(answers).toEqual([expect.objectContaining({ error: expect.stringContaining("closed") as string })]);
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
