import { isAfter, presentOf } from "../../domain/events.ts";
import type { LoggedEvent, ReplEvents } from "../../domain/ports.ts";

/** Events in memory. */
export function createFakeReplEvents() {
  let logs = new Map<string, LoggedEvent[]>();
  const listeners = new Map<string, Set<(event: LoggedEvent) => void>>();
  let count = 0;

  const events: ReplEvents = {
    publish(replId, event) {
      const logged = { id: `${Date.now()}-${++count}`, event };
      logs.set(replId, [...(logs.get(replId) ?? []), logged]);
      for (const listener of listeners.get(replId) ?? []) listener(logged);
    },
    async follow(replId, lastEventId, signal) {
      const log = logs.get(replId) ?? [];
      const position = lastEventId && /^\d+-\d+$/.test(lastEventId) ? lastEventId : presentOf(log.toReversed());
      const queue = log.filter(({ id }) => isAfter(id, position));
      let wake = () => {};
      const listener = (event: LoggedEvent) => {
        queue.push(event);
        wake();
      };
      const group = listeners.get(replId) ?? new Set();
      listeners.set(replId, group.add(listener));
      const leave = () => {
        group.delete(listener);
        wake();
      };
      if (signal.aborted) leave();
      signal.addEventListener("abort", leave);
      async function* stream() {
        try {
          while (!signal.aborted) {
            const next = queue.shift();
            if (next) yield next;
            else await new Promise<void>((resolve) => (wake = resolve));
          }
        } finally {
          leave();
        }
      }
      const iterator = stream();
      return { position, [Symbol.asyncIterator]: () => iterator };
    },
  };
  return {
    events,
    flush() {
      logs = new Map();
    },
    told: (replId: string) => (logs.get(replId) ?? []).map(({ event }) => event),
    listeners: () => [...listeners.values()].reduce((sum, group) => sum + group.size, 0),
  };
}
