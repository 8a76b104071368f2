import { signal, type ReadonlySignal } from "@preact/signals";
import type { ReplEvent } from "../domain/events.ts";

export interface Step {
  readonly name: string;
  readonly title: string;
  readonly state: "started" | "done" | "failed";
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs?: number;
  readonly attempt: number;
  readonly reason?: string;
}

/** What is known of a REPL by its events. */
export interface Progress {
  readonly status?: string;
  readonly statusReason?: string;
  readonly steps: readonly Step[];
  readonly lastSave?: { readonly generation: number; readonly savedAt: string };
  readonly warning?: string;
  readonly error?: string;
}

export const noProgress: Progress = { steps: [] };

const inTransition = new Set(["creating", "starting", "stopping", "deleting"]);

export const isInTransition = (status: string | undefined): boolean => status !== undefined && inTransition.has(status);

/** Pure: what is known after one more event. A new transition begins with no steps. */
export function withEvent(before: Progress, event: ReplEvent): Progress {
  switch (event.type) {
    case "status": {
      const isNew = isInTransition(event.status) && event.status !== before.status && !isInTransition(before.status);
      const { statusReason: _old, error: _error, warning, ...rest } = before;
      const { status, statusReason } = event;
      return {
        ...rest,
        status,
        ...(statusReason ? { statusReason } : {}),
        ...(warning && !isNew ? { warning } : {}),
        steps: isNew ? [] : before.steps,
      };
    }
    case "step": {
      const { step: name, title, state, at, attempt, durationMs, reason } = event;
      const index = before.steps.findLastIndex((step) => step.name === name);
      const known = before.steps[index];
      const step: Step = {
        name,
        title,
        state,
        attempt,
        startedAt: known?.startedAt ?? Date.parse(at),
        ...(durationMs === undefined ? {} : { durationMs }),
        ...(reason ? { reason } : {}),
      };
      return { ...before, steps: known ? before.steps.with(index, step) : [...before.steps, step] };
    }
    case "save": {
      const { error: _error, ...rest } = before;
      return { ...rest, lastSave: { generation: event.generation, savedAt: event.savedAt } };
    }
    case "warning":
      return { ...before, warning: event.message };
    default:
      return { ...before, error: event.message };
  }
}

export interface Following {
  readonly progress: ReadonlySignal<Progress>;
  stop(): void;
}

const types = ["status", "step", "save", "warning", "error"] as const;

const reopenAfterMs = 3000;

/** Follows a REPL's events until it is deleted, whatever becomes of the connection. */
export function followRepl(replId: string, onEvent: (event: ReplEvent) => void = () => {}): Following {
  const progress = signal(noProgress);
  let source: EventSource;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;

  function open(): void {
    source = new EventSource(`/api/repl/${replId}/events`);
    for (const type of types)
      source.addEventListener(type, (message) => {
        // The browser's own errors have the same name, and no data.
        if (!(message instanceof MessageEvent)) return;
        const event = { type, ...(JSON.parse(message.data as string) as object) } as ReplEvent;
        progress.value = withEvent(progress.value, event);
        onEvent(event);
        if (event.type === "status" && event.status === "deleted") stop();
      });
    // The browser comes back after a lost connection, but gives up when a server that restarts answers 503.
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && !isOver) timer = setTimeout(open, reopenAfterMs);
    });
  }

  function stop(): void {
    isOver = true;
    clearTimeout(timer);
    source.close();
  }

  open();
  return { progress, stop };
}
