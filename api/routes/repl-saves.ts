import { ReadableStream } from "node:stream/web";
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { ReplError } from "../../domain/errors.ts";
import type { ReplRecord } from "../../domain/repl.ts";
import { modifiedAt, type SaveEntry, type SaveHeader, type SaveManifest } from "../../domain/save.ts";
import { findSave, listSaves, type SaveReads } from "../../domain/save-history.ts";
import type { Env } from "../env.ts";
import { createRoutes, jsonBody, jsonContent, jsonOnly, problems, sessionSecurity } from "../openapi.ts";
import { newSessionId } from "../repl-ids.ts";
import type { ReplReader } from "../repl-reader.ts";
import type { ReplWorkflows } from "../repl-workflows.ts";
import { archiveFormats, streamArchive } from "../save-archive.ts";
import {
  restoreAnswerSchema,
  restoreRequest,
  saveFilesSchema,
  saveParams,
  savesQuery,
  savesSchema,
} from "../save-schemas.ts";
import { replParams } from "../schemas.ts";

export interface ReplSavesOptions {
  readonly reader: ReplReader;
  readonly workflows: ReplWorkflows;
  readonly store: SaveReads;
}

const common = { tags: ["Saves"], security: sessionSecurity };
const savePath = "/{id}/saves/{generation}";
const binary = z.string().openapi({ format: "binary" });

const listRoute = createRoute({
  ...common,
  method: "get",
  path: "/{id}/saves",
  summary: "The saves of a REPL, newest first",
  request: { params: replParams, query: savesQuery },
  responses: { 200: jsonContent(savesSchema, "One page; `before` begins the next one"), ...problems(400, 401, 404) },
});
const filesRoute = createRoute({
  ...common,
  method: "get",
  path: `${savePath}/files`,
  summary: "What is in a save",
  request: { params: saveParams },
  responses: { 200: jsonContent(saveFilesSchema, "Every path of it"), ...problems(400, 401, 404) },
});
const archiveRoute = createRoute({
  ...common,
  method: "get",
  path: `${savePath}/archive`,
  summary: "A save as one archive",
  request: {
    params: saveParams,
    query: z.object({ format: z.enum(["tar", "zip"]).default("tar").openapi({ example: "zip" }) }),
  },
  responses: {
    200: {
      description: "The archive, made while it is sent",
      content: { "application/x-tar": { schema: binary }, "application/zip": { schema: binary } },
    },
    ...problems(400, 401, 404),
  },
});
const restoreRoute = createRoute({
  ...common,
  method: "post",
  path: `${savePath}/restore`,
  summary: "Go back to a save, whole or one path of it; the REPL must be closed",
  middleware: jsonOnly,
  request: { params: saveParams, body: jsonBody(restoreRequest) },
  responses: {
    200: jsonContent(restoreAnswerSchema, "A new save that is what that one was"),
    ...problems(400, 401, 403, 404, 409),
  },
});
/** Described by hand: a path with slashes is nothing that the document's syntax knows. */
const fileRoute = {
  ...common,
  method: "get",
  path: `/api/repl${savePath}/files/{path}`,
  summary: "One file of a save",
  request: { params: saveParams.extend({ path: z.string().openapi({ example: "src/main.py" }) }) },
  responses: {
    200: { description: "Its bytes", content: { "application/octet-stream": { schema: binary } } },
    ...problems(400, 401, 404),
  },
} as const;

/** Looking into saves and going back to them, without any container. */
export function replSaves({ reader, workflows, store }: ReplSavesOptions) {
  const routes = createRoutes();
  routes.openAPIRegistry.registerPath({ ...fileRoute, path: fileRoute.path.replace("/api/repl", "") });
  async function saveOf(c: Context<Env>, id: string, generation: number): Promise<[ReplRecord, SaveManifest]> {
    const record = await reader.record(c.get("user"), id);
    return [record, (await findSave(store, record, generation)).manifest];
  }

  routes.get("/:id/saves/:generation/files/:path{.+}", async (c) => {
    const { id, generation } = parseParams(c.req.param());
    const path = c.req.param("path");
    const [, { entries }] = await saveOf(c, id, generation);
    const entry = entries.find((candidate) => candidate.path === path);
    if (entry?.type !== "file")
      throw new ReplError("not_found", entry ? `${path} is a ${entry.type}, not a file.` : `That save has no ${path}.`);
    const bytes = await store.getStream(entry.key, entry.version);
    if (!bytes) throw new ReplError("unavailable", `${path} is not in the object store any more.`);
    return c.body(ReadableStream.from(bytes) as globalThis.ReadableStream<Uint8Array<ArrayBuffer>>, 200, {
      "content-type": "application/octet-stream",
      "content-length": String(entry.sizeBytes),
      "content-disposition": attachment(path.split("/").at(-1) ?? "file"),
      etag: `"${entry.sha256}"`,
    });
  });

  return routes
    .openapi(listRoute, async (c) => {
      const record = await reader.record(c.get("user"), c.req.valid("param").id);
      const { saves, before } = await listSaves(store, record, c.req.valid("query"));
      const answer = {
        saves: saves.map((save) => saveJson(save, record)),
        ...(before === undefined ? {} : { before }),
      };
      return c.json(answer, 200);
    })
    .openapi(filesRoute, async (c) => {
      const { id, generation } = c.req.valid("param");
      const [, { entries, leftOut, inMotion, notSaved }] = await saveOf(c, id, generation);
      return c.json(
        {
          generation,
          entries: entries.map(entryJson),
          leftOut: [...leftOut],
          inMotion: [...inMotion],
          ...(notSaved ? { notSaved: { count: notSaved.count, first: [...notSaved.first] } } : {}),
        },
        200,
      );
    })
    .openapi(archiveRoute, async (c) => {
      const { id, generation } = c.req.valid("param");
      const { format } = c.req.valid("query");
      const [record, { entries }] = await saveOf(c, id, generation);
      const stream = streamArchive(format, entries, store, c.req.raw.signal);
      return c.body(stream, 200, {
        "content-type": archiveFormats[format],
        "content-disposition": attachment(`${record.id}-save-${generation}.${format}`),
      }) as never;
    })
    .openapi(restoreRoute, async (c) => {
      const { id, generation } = c.req.valid("param");
      const { path } = c.req.valid("json");
      const repl = await reader.get(c.get("user"), id);
      await findSave(store, await reader.record(repl.owner, repl.id), generation);
      const { save } = await workflows.restore(
        {
          replId: repl.id,
          owner: repl.owner,
          sessionId: newSessionId(),
          generation,
          ...(path === undefined ? {} : { path }),
        },
        repl,
      );
      const { generation: made, files, bytes } = save;
      return c.json({ replId: repl.id, save: { generation: made, files, bytes } }, 200);
    });
}

function parseParams(params: Record<string, string>): { id: string; generation: number } {
  const parsed = saveParams.safeParse(params);
  if (!parsed.success) throw new ReplError("invalid", "generation: use the number of a save");
  return parsed.data;
}

function saveJson({ generation, kind, createdAt, files, bytes, notSaved }: SaveHeader, { lastSave }: ReplRecord) {
  const isNewest = generation === lastSave?.generation;
  const blemish = notSaved ? { notSaved: notSaved.count } : {};
  return { generation, kind, savedAt: createdAt, files, bytes, isNewest, ...blemish };
}

function entryJson(entry: SaveEntry) {
  const { type, path, mode } = entry;
  const shared = { path, mode, modifiedAt: modifiedAt(entry).toISOString() };
  if (type === "file") return { ...shared, type, sizeBytes: entry.sizeBytes, sha256: entry.sha256 };
  return type === "link" ? { ...shared, type, target: entry.target } : { ...shared, type };
}

/** Never shown by a browser under our address, whatever it holds. */
function attachment(name: string): string {
  const plain = name.replace(/[^\w. -]/g, "_");
  return `attachment; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, "_")}`;
}
