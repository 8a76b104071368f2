import type { Extension } from "@codemirror/state";

/** Each is loaded with the first file that needs it. */
const javascript = async (isTypeScript: boolean, isJsx: boolean) =>
  (await import("@codemirror/lang-javascript")).javascript({ typescript: isTypeScript, jsx: isJsx });
const cpp = async () => (await import("@codemirror/lang-cpp")).cpp();
const html = async () => (await import("@codemirror/lang-html")).html();
const json = async () => (await import("@codemirror/lang-json")).json();

const byEnding: Readonly<Record<string, () => Promise<Extension>>> = {
  js: () => javascript(false, true),
  mjs: () => javascript(false, false),
  cjs: () => javascript(false, false),
  jsx: () => javascript(false, true),
  ts: () => javascript(true, false),
  mts: () => javascript(true, false),
  tsx: () => javascript(true, true),
  py: async () => (await import("@codemirror/lang-python")).python(),
  html,
  htm: html,
  svg: html,
  xml: html,
  css: async () => (await import("@codemirror/lang-css")).css(),
  json,
  webmanifest: json,
  md: async () => (await import("@codemirror/lang-markdown")).markdown(),
  go: async () => (await import("@codemirror/lang-go")).go(),
  rs: async () => (await import("@codemirror/lang-rust")).rust(),
  java: async () => (await import("@codemirror/lang-java")).java(),
  c: cpp,
  h: cpp,
  cc: cpp,
  cpp,
  hpp: cpp,
};

/** The language of a file by its name; a language that cannot be loaded is none. */
export async function languageOf(path: string): Promise<Extension | undefined> {
  const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  try {
    return Object.hasOwn(byEnding, ending) ? await byEnding[ending]?.() : undefined;
  } catch {
    return undefined;
  }
}
