import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { connectEditor } from "../../../tools/editor-client.ts";
import { root, outside, url, ticket, programPort, socketStatus } from "./running-runner.ts";

describe("the runner: closing", () => {
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
