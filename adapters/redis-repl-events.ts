import type { Redis } from "ioredis";
import { isAfter, presentOf, type ReplEvent } from "../domain/events.ts";
import { redisKey } from "../domain/naming.ts";
import type { LoggedEvent, ReplEvents } from "../domain/ports.ts";
import type { ReplId } from "../domain/repl.ts";
import { connectToHear, type RedisClient } from "./redis-connection.ts";
import { answered, loadScript } from "./redis-scripts.ts";

const keptEvents = 300;
const keptSeconds = 24 * 3600;
/** A listener this far behind is cut off; it comes back with its Last-Event-ID. */
const longestQueue = 1000;
const idPattern = /^\d{1,16}-\d{1,16}$/;

/**
 * Events through Redis: a stream per REPL keeps them, pub/sub tells of them at once. All listeners of a
 * process share one connection; after that was lost, each reads on from the stream where it stood.
 */
export function createRedisReplEvents(redis: RedisClient): ReplEvents & { close(): void; listeners(): number } {
  const logEvent = loadScript(redis, "log-event");
  const listeners = new Map<string, Set<Listener>>();
  let subscriber: Redis | undefined;

  interface Listener {
    receive(event: LoggedEvent): void;
    /** Something may have been missed. */
    catchUp(): void;
  }

  function connection(): Redis {
    if (subscriber) return subscriber;
    subscriber = connectToHear(redis, {
      channels: () => [...listeners.keys()],
      onHearing() {
        for (const group of listeners.values()) for (const listener of group) listener.catchUp();
      },
    });
    subscriber.on("message", (channel: string, message: string) => {
      const { id, ...event } = JSON.parse(message) as ReplEvent & { id: string };
      for (const listener of listeners.get(channel) ?? []) listener.receive({ id, event });
    });
    return subscriber;
  }

  async function listen(channel: string, listener: Listener): Promise<() => void> {
    const group = listeners.get(channel) ?? new Set();
    listeners.set(channel, group.add(listener));
    const leave = () => {
      if (!group.delete(listener) || group.size > 0) return;
      listeners.delete(channel);
      subscriber?.unsubscribe(channel).catch(() => {});
    };
    try {
      await answered(redis, () => connection().subscribe(channel));
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
  }

  const logged = ([id, fields]: [string, string[]]): LoggedEvent => ({
    id,
    event: JSON.parse(fields[1] ?? "{}") as ReplEvent,
  });

  async function readAfter(replId: ReplId, id: string): Promise<LoggedEvent[]> {
    return (await answered(redis, () => redis.xrange(redisKey.eventLog(replId), `(${id}`, "+"))).map(logged);
  }

  async function readPresent(replId: ReplId): Promise<string> {
    const key = redisKey.eventLog(replId);
    return presentOf((await answered(redis, () => redis.xrevrange(key, "+", "-", "COUNT", keptEvents))).map(logged));
  }

  return {
    publish(replId, event) {
      logEvent(
        [redisKey.eventLog(replId)],
        [JSON.stringify(event), redisKey.replEvents(replId), keptEvents, keptSeconds],
      ).catch(() => {});
    },

    async follow(replId, lastEventId, signal) {
      const queue: LoggedEvent[] = [];
      // What came before it was heard is in the log alone.
      let mustRead = true;
      let wake = () => {};
      const leave = await listen(redisKey.replEvents(replId), {
        receive(event) {
          queue.push(event);
          wake();
        },
        catchUp() {
          mustRead = true;
          wake();
        },
      });
      signal.addEventListener("abort", () => {
        leave();
        wake();
      });
      let position: string;
      try {
        position = lastEventId && idPattern.test(lastEventId) ? lastEventId : await readPresent(replId);
      } catch (error) {
        leave();
        throw error;
      }

      async function* events() {
        let last = position;
        try {
          while (!signal.aborted && queue.length <= longestQueue) {
            const batch = queue.splice(0);
            if (mustRead) {
              mustRead = false;
              batch.unshift(...(await readAfter(replId, last)));
            }
            for (const event of batch) {
              if (signal.aborted) return;
              if (!isAfter(event.id, last)) continue;
              last = event.id;
              yield event;
            }
            if (queue.length === 0 && !mustRead && !signal.aborted)
              await new Promise<void>((resolve) => (wake = resolve));
          }
        } finally {
          leave();
        }
      }
      const stream = events();
      return { position, [Symbol.asyncIterator]: () => stream };
    },

    listeners: () => [...listeners.values()].reduce((sum, group) => sum + group.size, 0),

    close() {
      subscriber?.disconnect();
    },
  };
}
