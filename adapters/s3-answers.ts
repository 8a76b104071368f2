import type { Refusal } from "../domain/absence.ts";
import { ReplError } from "../domain/errors.ts";
import type { StoredObject } from "../domain/ports.ts";
import type { HttpAnswer } from "./http-client.ts";

type Headers = Pick<HttpAnswer, "header">;

/** Reads what S3 servers answer, and takes nothing for an answer that does not show that it is one. */

const wordsOfAStranger = 60;

/** `text` is the whole body. */
export function refusalOf(status: number, text: string): Refusal {
  const code = /^\s*(<\?xml[^>]*>\s*)?<Error[\s>]/.test(text) ? textOf(text, "Code") : undefined;
  return code === undefined
    ? { status, message: inWords(text) }
    : { status, code, message: textOf(text, "Message") ?? "" };
}

function inWords(text: string): string {
  const start = text.trim();
  if (start === "") return "no body";
  return /^<(!doctype )?html/i.test(start) ? "an HTML page" : JSON.stringify(start.slice(0, wordsOfAStranger));
}

/** Throws `unavailable` unless the text is a whole document of that kind. */
export function requireDocument(what: string, text: string, root: string): void {
  const isWhole = new RegExp(`^\\s*(<\\?xml[^>]*>\\s*)?<${root}(\\s[^>]*)?(/>|>.*</${root}>)\\s*$`, "s").test(text);
  if (isWhole) return;
  // S3 begins some answers before the work is done, so that an error can come with status 200.
  const { code, message } = refusalOf(200, text);
  throw new ReplError(
    "unavailable",
    code === undefined
      ? `${what}: ${message} came in place of a whole ${root}: does something else answer in the object store's place?`
      : `${what}: the object store answers ${code}`,
  );
}

/** Throws `unavailable` where the answer names no version (or not the one that was asked for), as every answer about an object of a versioned bucket does. */
export function storedOf(what: string, answer: Headers, asked?: string): StoredObject {
  const [etag, version] = [answer.header("etag"), versionOf(what, answer, asked)];
  if (etag === undefined) throw new ReplError("unavailable", `${what}: the answer has no ETag`);
  return { etag, version };
}

export function versionOf(what: string, answer: Headers, asked?: string): string {
  const version = answer.header("x-amz-version-id");
  if (version === undefined || version === "null")
    throw new ReplError("unavailable", `${what}: the answer names no version: is versioning off?`);
  if (asked !== undefined && version !== asked)
    throw new ReplError("unavailable", `${what}: the answer is about version ${version}, not ${asked}`);
  return version;
}

/** What an element of a small XML answer holds. */
export function textOf(xml: string, element: string): string | undefined {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1];
  return text === undefined ? undefined : unescapeXml(text);
}

/** The inside of each element of that name. */
export function elementsOf(xml: string, element: string): string[] {
  return [...xml.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, "gs"))].map(([, inside = ""]) => inside);
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|([a-z]+));/gi, (whole, hex?: string, decimal?: string, name?: string) =>
    name === undefined
      ? String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
      : (entities[name] ?? whole),
  );
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"'\u0000-\u001f\u007f]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
