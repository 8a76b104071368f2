import type { EditorClient } from "../tools/editor-client.ts";

/** Resident memory of the runner in a terminal's pod: all of it, and what is this runner's alone. The rest is Node's own file, which all runners of a machine share. */
export async function runnerMemory(editor: EditorClient, sessionId: unknown) {
  const command = `grep -E '^Rss|^VmRSS' /proc/$(pgrep -f ^node.*own-container)/status; echo o''k`;
  const output = await editor.type(sessionId, command, "ok\r\n");
  const megabytes = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(output)?.[1]) / 1024);
  return { megabytes: megabytes("VmRSS"), anonymousMegabytes: megabytes("RssAnon") };
}
