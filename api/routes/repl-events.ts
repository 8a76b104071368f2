import { createRoute, z } from "@hono/zod-openapi";
import { streamSSE, type SSEStreamingApi } from "hono/streaming";
import { ReplError } from "../../domain/errors.ts";
import { statusEvent, type ReplEvent } from "../../domain/events.ts";
import type { ReplEvents } from "../../domain/ports.ts";
import { createRoutes, problems, sessionSecurity } from "../openapi.ts";
import type { ReplReader } from "../repl-reader.ts";
import { replParams } from "../schemas.ts";
import type { Sessions } from "../sessions.ts";

export interface ReplEventsOptions {
  readonly reader: ReplReader;
  readonly events: Pick<ReplEvents, "publish" | "follow">;
  readonly sessions: Sessions;
  /** Ends all streams, so that the process can stop. */
  readonly stopping: AbortSignal;
}

const heartbeatMs = 15_000;
const maximumStreamsPerUser = 50;

const eventsRoute = createRoute({
  method: "get",
  path: "/{id}/events",
  tags: ["REPLs"],
  summary: "What happens to a REPL, as server-sent events",
  description:
    "Begins with an event `status` that holds the current state, and the steps so far of a create, open, close or deletion that is under way; " +
    "then `status`, `step`, `save`, `warning` and `error` as they happen. " +
    "A client that comes back with Last-Event-ID first gets what it has missed.",
  security: sessionSecurity,
  request: {
    params: replParams,
    headers: z.object({ "last-event-id": z.string().optional().openapi({ description: "The last id received" }) }),
  },
  responses: {
    200: { description: "The stream", content: { "text/event-stream": { schema: z.string() } } },
    ...problems(401, 404),
  },
});

/** The event stream of a REPL. */
export function replEvents({ reader, events, sessions, stopping }: ReplEventsOptions) {
  const streams = new Map<string, number>();

  function take(userId: string): () => void {
    const open = (streams.get(userId) ?? 0) + 1;
    if (open > maximumStreamsPerUser)
      throw new ReplError(
        "quota_exceeded",
        `You follow ${maximumStreamsPerUser} event streams, the most one user can.`,
      );
    streams.set(userId, open);
    return () => {
      const left = (streams.get(userId) ?? 1) - 1;
      if (left === 0) streams.delete(userId);
      else streams.set(userId, left);
    };
  }

  return createRoutes().openapi(eventsRoute, async (c) => {
    const { user, session } = c.var;
    const { id } = await reader.get(user, c.req.valid("param").id);
    const lastEventId = c.req.valid("header")["last-event-id"];
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, stopping]);
    const leave = take(user.id);
    signal.addEventListener("abort", leave, { once: true });
    try {
      // Followed first and read then: what happens in between is not missed.
      const stream = await events.follow(id, lastEventId, signal);
      const current = statusEvent(await reader.get(user, id));
      return streamSSE(c, async (sse) => {
        sse.onAbort(() => over.abort());
        const beating = setInterval(() => void beat(sse), heartbeatMs);
        try {
          // Without an id where missed events follow: a client that is cut off here must not skip them.
          await write(sse, current, lastEventId === undefined ? stream.position : undefined);
          for await (const { id: eventId, event } of stream) {
            await write(sse, event, eventId);
            if (event.type === "status" && event.status === "deleted") break;
          }
        } finally {
          clearInterval(beating);
          over.abort();
        }
      });
    } catch (error) {
      over.abort();
      throw error;
    }

    async function beat(sse: SSEStreamingApi): Promise<void> {
      try {
        await sessions.refuseRevoked(session);
        if (session.expires <= Date.now() / 1000) throw new ReplError("unauthorized", "The session has expired.");
        await sse.write(": still here\n\n");
      } catch (error) {
        // Whoever has been signed out hears no more; a check that fails is tried again at the next beat.
        if (error instanceof ReplError && error.code === "unauthorized") over.abort();
      }
    }
  });
}

function write(sse: SSEStreamingApi, { type, ...data }: ReplEvent, id: string | undefined): Promise<void> {
  return sse.writeSSE({ event: type, data: JSON.stringify(data), ...(id ? { id } : {}) });
}
