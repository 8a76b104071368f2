import { createWriteStream, lstatSync } from "node:fs";
import { lstat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { replaceFile } from "./replace-file.ts";
import type { Uploads } from "./uploads.ts";
import type { Workspace } from "./workspace.ts";

/** Below the base path: files of any size and kind, by HTTP. */
export const filesPath = "/api/v1/files/";

/**
 * Answers GET and HEAD with a file's bytes (ranges, ETag), PUT with storing the body as the file: beside it first and
 * then in one step, so that an upload that breaks off changes nothing; one that a close overtakes is not stored. PUT
 * heeds `If-None-Match: *` (only a new file) and `If-Match` (only over the one that was read).
 */
export async function serveFiles(
  request: IncomingMessage,
  response: ServerResponse,
  encodedPath: string,
  workspace: Workspace,
  uploads: Uploads,
): Promise<void> {
  try {
    const path = decodeURIComponent(encodedPath);
    if (request.method === "GET" || request.method === "HEAD") await download(request, response, path, workspace);
    else if (request.method === "PUT")
      await uploads.run((signal) => upload(request, response, path, workspace, { signal, ...uploads }));
    else answer(response, 405, "Send GET, HEAD or PUT.", { allow: "GET, HEAD, PUT" });
  } catch (error) {
    if (response.headersSent) return void response.destroy();
    // What is still coming would be taken for the next request.
    if (request.method === "PUT" && uploads.isClosing()) return sayClosing(response);
    answer(response, statusOf(error), error instanceof Error ? error.message : String(error), { connection: "close" });
  }
}

async function download(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  workspace: Workspace,
): Promise<void> {
  const { place, stats } = await workspace.locateFile(path);
  // A page of the user's could hold anything: it is saved, never shown as one of ours.
  response.setHeader("content-disposition", "attachment");
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("content-type", "application/octet-stream");
  response.setHeader("cache-control", "no-store");
  response.setHeader("etag", entityTag(stats));
  // It brings the types of all files, megabytes that a runner nobody downloads from need not hold.
  const { default: send } = await import("send");
  await new Promise<void>((resolve, reject) => {
    send(request, place, { dotfiles: "allow", cacheControl: false, etag: false, root: "/" })
      .on("error", reject)
      .on("end", resolve)
      .pipe(response)
      .on("close", resolve);
  });
}

async function upload(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  workspace: Workspace,
  { signal, isClosing }: { readonly signal: AbortSignal; readonly isClosing: () => boolean },
): Promise<void> {
  const place = await workspace.locateForWriting(path);
  const before = await lstat(place).catch(() => undefined);
  if (before && !before.isFile()) throw new Error(`${path} is not a regular file`);
  const isOnlyNew = request.headers["if-none-match"] === "*";
  const expected = request.headers["if-match"];
  const isAsExpected = (stats: typeof before) =>
    !(isOnlyNew && stats) && (expected === undefined || (stats !== undefined && entityTag(stats) === expected));
  const refuse = () => answer(response, 412, `${path} is not what you expect; fetch it again`, { connection: "close" });
  if (!isAsExpected(before)) return refuse();

  const mode = before ? before.mode & 0o777 : 0o644;
  const isStored = await replaceFile(
    place,
    (temporary) => pipeline(request, createWriteStream(temporary, { mode, flags: "wx" }), { signal }),
    // Last, so that whoever closes and then waits for this upload finds it stored, or never will.
    () => isAsExpected(lstatSync(place, { throwIfNoEntry: false })) && !isClosing(),
    { isOnlyNew },
  );
  if (!isStored) return isClosing() ? sayClosing(response) : refuse();
  response.writeHead(before ? 204 : 201, { etag: entityTag(await lstat(place)) }).end();
}

function sayClosing(response: ServerResponse): void {
  answer(response, 503, "This REPL is being closed, and the file was not stored.", {
    connection: "close",
    "retry-after": "5",
  });
}

function entityTag({ mtimeMs, size, ino }: { mtimeMs: number; size: number; ino: number }): string {
  return `"${[mtimeMs, size, ino].map((value) => value.toString(36)).join("-")}"`;
}

function statusOf(error: unknown): number {
  const { code, status, cause } = error as { code?: string; status?: number; cause?: { code?: string } };
  if (status !== undefined) return status;
  const reason = code ?? cause?.code;
  if (reason === "ENOSPC" || reason === "EDQUOT") return 507;
  if (reason === "EEXIST") return 412;
  return reason === "ENOENT" ? 404 : 400;
}

function answer(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers });
  response.end(`${text}\n`);
}
