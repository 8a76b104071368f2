import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { objectKey } from "../../../domain/naming.ts";
import { createApiSavePointer } from "../../../sync/api-save-pointer.ts";
import { describeSavePointer } from "../../contracts/save-pointer.ts";
import { startApi } from "../../fakes/api.ts";
import { newRecord, newSession } from "../../fakes/records.ts";
import { serve as serveHttp } from "../../setup/http-servers.ts";

let api: Awaited<ReturnType<typeof startApi>>;
let server: ReturnType<typeof serve>;
let apiUrl = "";
beforeAll(async () => {
  api = await startApi();
  server = serve({ fetch: api.app.fetch, port: 0, hostname: "127.0.0.1" });
  await once(server, "listening");
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

describe("through the API", () => {
  describeSavePointer(async () => ({
    store: api.store,
    registry: api.registry,
    pointerFor: (session) => createApiSavePointer({ apiUrl, token: api.runnerTokens.issue(session) }),
  }));

  it("takes nobody's word for what a save holds", async () => {
    const record = newRecord();
    const session = newSession(record);
    await api.registry.create({ ...record, sessionId: session.id });
    const pointer = createApiSavePointer({ apiUrl, token: api.runnerTokens.issue(session) });
    const invented = { generation: 1, version: "v1", files: 1, bytes: 1, savedAt: record.createdAt };
    await expect(pointer.move({ session }, 0, invented)).rejects.toMatchObject({ code: "conflict" });
    // A manifest that is there, and of another session.
    const header = { format: 1, replId: record.id, generation: 1, parent: 0, sessionId: "other", createdAt: "" };
    const stored = await api.store.putText(
      objectKey.save(record.id, 1),
      JSON.stringify({ ...header, kind: "close", files: 0, bytes: 0, leftOut: [], inMotion: [], entries: [] }),
    );
    const others = { ...invented, version: stored.version };
    await expect(pointer.move({ session }, 0, others)).rejects.toMatchObject({ code: "conflict" });
    expect((await api.registry.read(record.owner.id, record.id))?.lastSave).toBeUndefined();
  });

  it("speaks for its own session only", async () => {
    const record = newRecord();
    const session = newSession(record);
    await api.registry.create({ ...record, sessionId: session.id });
    for (const token of ["", "x.y.z.w", api.runnerTokens.issue({ ...session, replId: "repl-other" })]) {
      const pointer = createApiSavePointer({ apiUrl, token });
      await expect(pointer.read({ session })).rejects.toMatchObject({ code: "unauthorized" });
      await expect(pointer.claim(session, "pod")).rejects.toMatchObject({ code: "unauthorized" });
    }
    const earlier = { ...session, id: "earlier" };
    const stale = createApiSavePointer({ apiUrl, token: api.runnerTokens.issue(earlier) });
    await expect(stale.claim(earlier, "pod")).rejects.toMatchObject({ code: "conflict" });
    expect((await api.registry.read(record.owner.id, record.id))?.restored).toBeUndefined();
  });

  it.each([200, 204, 301, 400, 401, 404, 409])("takes status %i of somebody else for no answer", async (status) => {
    const session = newSession(newRecord());
    const saved = { id: session.replId, owner: { id: session.userId, login: "o" } };
    const asked: string[] = [];
    const url = await serveHttp((request, response) => {
      const order = request.url?.split("/").at(-1) ?? "";
      // Somebody else answers first, then the API does.
      if (asked.at(-1) !== order) response.writeHead(status, { "content-type": "text/html" }).end("<html>");
      else if (order === "release") response.writeHead(204).end();
      else response.end(JSON.stringify(saved));
      asked.push(order);
    });
    const pointer = createApiSavePointer({ apiUrl: url.href, token: "t" });
    expect(await pointer.read({ session })).toEqual(saved);
    expect(await pointer.claim(session, "pod")).toEqual(saved);
    await pointer.release({ session, pod: "pod" });
    // To an order nothing but 204 is an answer.
    const release = status === 204 ? ["release"] : ["release", "release"];
    expect(asked).toEqual(["save", "save", "restore", "restore", ...release]);
  });

  it("asks again while the API is being replaced", async () => {
    const session = newSession(newRecord());
    const saved = { id: session.replId, owner: { id: session.userId, login: "o" } };
    let asked = 0;
    const replaced: Server = createServer((_request, response) => {
      asked++;
      response.writeHead(asked < 3 ? 503 : 200, { "content-type": "application/json" });
      response.end(asked < 3 ? "<html>" : JSON.stringify(saved));
    }).listen(0, "127.0.0.1");
    await once(replaced, "listening");
    onTestFinished(() => void replaced.close());
    const url = `http://127.0.0.1:${(replaced.address() as AddressInfo).port}/`;
    expect(await createApiSavePointer({ apiUrl: url, token: "t" }).read({ session })).toEqual(saved);
    expect(asked).toBe(3);
  });
});
