import { ReplError } from "../../domain/errors.ts";
import { objectKey } from "../../domain/naming.ts";
import type { Meets, OutsideCall } from "./gate.ts";

/**
 * What stands on the other side may answer wrongly: not at all, after its work, with a 404 of something else, with
 * nothing where there is much, with what was true earlier, with a body that is cut off. These are such answers as an
 * adapter hands them on: where it cannot tell, as the truth; where it can, as `unavailable`.
 */

export const wrongKinds = ["refused", "answer lost", "404", "empty", "older", "broken"] as const;
export type WrongKind = (typeof wrongKinds)[number];

/** Calls that only read: how one is answered from which everything has vanished. */
const reads: Readonly<Record<string, "one" | "many" | "page">> = {
  "store.getText": "one",
  "store.getHead": "one",
  "store.head": "one",
  "store.getStream": "one",
  "store.list": "many",
  "store.folders": "many",
  "store.listVersions": "many",
  "cluster.findSession": "one",
  "cluster.listSessions": "many",
  "cluster.pageOfSessions": "page",
  "cluster.remains": "many",
  "directory.activeSession": "one",
  "directory.list": "many",
  "directory.marks": "many",
};

const nameOf = ({ port, method }: OutsideCall) => `${port}.${method}`;
const away = (call: OutsideCall) => new ReplError("unavailable", `${nameOf(call)}: no answer`);

/** What was answered before, to whoever asked the same. */
export function createMemory() {
  const answers = new Map<string, unknown[]>();
  const keyOf = (call: OutsideCall) => `${nameOf(call)} ${JSON.stringify(call.args.filter(Boolean))}`;
  return {
    /** What was removed stays so in every answer: no store or database that we take shows it again. */
    forgetRemoved(call: OutsideCall): void {
      if (nameOf(call) === "store.putText" && String(call.args[1]).startsWith('{"tombstones"'))
        answers.delete(keyOf({ ...call, method: "getText", args: call.args.slice(0, 1) }));
    },
    note(call: OutsideCall, answer: unknown): void {
      if (!reads[nameOf(call)] || isStream(answer)) return;
      const known = answers.get(keyOf(call)) ?? [];
      if (JSON.stringify(known.at(-1)) !== JSON.stringify(answer)) answers.set(keyOf(call), [...known, answer]);
    },
    /** Of the last answers the one before the newest. */
    older: (call: OutsideCall): readonly unknown[] => (answers.get(keyOf(call)) ?? []).slice(-2, -1),
  };
}

export type Memory = ReturnType<typeof createMemory>;

/**
 * An attempt whose calls are answered rightly up to the one of this number, which is answered wrongly if such a call
 * can be; otherwise the first one after it that can. `onStruck` hears of it.
 */
export function meetsWrong(kind: WrongKind, from: number, memory: Memory, onStruck: (call: string) => void): Meets {
  let hasStruck = false;
  let isOtherBucket = false;
  return async (call, number) => {
    memory.forgetRemoved(call);
    // Nothing is absent from the wrong bucket alone: its sentinel is not there either.
    if (isOtherBucket && nameOf(call) === "store.getText" && call.args[0] === objectKey.registryHome) return undefined;
    const wrong = !hasStruck && number >= from ? wrongAnswer(kind, call, memory) : undefined;
    if (!wrong) {
      const answer = await call.answer();
      memory.note(call, answer);
      return answer;
    }
    hasStruck = true;
    isOtherBucket = kind === "404" && call.port === "store";
    onStruck(nameOf(call));
    return wrong();
  };
}

function wrongAnswer(kind: WrongKind, call: OutsideCall, memory: Memory): (() => unknown) | undefined {
  const shape = reads[nameOf(call)];
  if (kind === "refused") return () => Promise.reject(away(call));
  if (kind === "answer lost") return shape ? undefined : () => loseAnswer(call);
  if (kind === "404" && nameOf(call) === "store.copy")
    return () => Promise.reject(new ReplError("not_found", `${nameOf(call)}: nothing there`));
  if (!shape) return undefined;
  if (kind === "404") return shape === "one" ? async () => undefined : undefined;
  if (kind === "older") {
    const [older] = memory.older(call).map((answer) => async () => answer);
    return older;
  }
  if (kind === "broken") return () => breakBody(call);
  if (shape === "one") return undefined;
  // Its adapter has asked for the sentinel.
  if (call.port === "store") return () => Promise.reject(away(call));
  return async () => (shape === "page" ? { sessions: [] } : []);
}

async function loseAnswer(call: OutsideCall): Promise<never> {
  await call.answer();
  throw away(call);
}

async function breakBody(call: OutsideCall): Promise<unknown> {
  const answer = await call.answer();
  if (isText(answer)) return { ...answer, text: answer.text.slice(0, answer.text.length / 2) };
  throw new SyntaxError(`${nameOf(call)}: Unexpected end of JSON input`);
}

function isText(answer: unknown): answer is { readonly text: string } {
  return typeof answer === "object" && answer !== null && "text" in answer && typeof answer.text === "string";
}

function isStream(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}
