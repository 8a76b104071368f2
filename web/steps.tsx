import type { Step } from "./events.ts";
import { useNow } from "./hooks.ts";
import { Reason } from "./reason.tsx";
import { durationInWords } from "./words.ts";

/** The named steps of a create, an open or a close, with their times as they run. */
export function Steps({ steps }: { readonly steps: readonly Step[] }) {
  const isRunning = steps.some(({ state }) => state === "started");
  const now = useNow(100, isRunning);
  if (steps.length === 0) return null;
  return (
    <ol class="steps" aria-live="polite">
      {steps.map(({ name, title, state, startedAt, durationMs, attempt, reason }) => (
        <li key={name} class={state}>
          <span class="step-title">{title}</span>
          <span class="step-time" aria-hidden={state === "started"}>
            {state === "started" ? durationInWords(Math.max(0, now - startedAt)) : durationInWords(durationMs ?? 0)}
          </span>
          {reason && (
            <span class="step-reason">
              {attempt > 1 ? `Attempt ${attempt}: ` : ""}
              <Reason text={reason} />
            </span>
          )}
        </li>
      ))}
    </ol>
  );
}
