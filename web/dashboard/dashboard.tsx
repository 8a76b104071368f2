import { useEffect, useMemo, useState } from "preact/hooks";
import { Notice } from "../notice.tsx";
import { countInWords } from "../words.ts";
import { CreateRepl } from "./create-repl.tsx";
import { ReplCard } from "./repl-card.tsx";
import { activeCount, failure, limits, quotaReason, repls, watchRepls } from "./repls.ts";

/** All REPLs of a person, and the way to a new one. */
export function Dashboard() {
  // Now, and not when the empty list is painted.
  const stop = useMemo(watchRepls, []);
  useEffect(() => stop, [stop]);
  const [isCreating, setCreating] = useState(false);
  const all = repls.value;
  const isFirst = all?.length === 0;
  return (
    <main class="dashboard">
      <div class="title-row">
        <h1>Your REPLs</h1>
        <Quota />
        {all && !isFirst && (
          <button type="button" class="primary" onClick={() => setCreating(true)}>
            New REPL
          </button>
        )}
      </div>
      {failure.value && (
        <Notice kind="error">
          {failure.value}{" "}
          <button type="button" class="link" onClick={() => location.reload()}>
            Try again
          </button>
        </Notice>
      )}
      {isFirst ? (
        <section class="first">
          <p>You have none yet. Choose what to start with; it is running some seconds later.</p>
          <CreateRepl />
        </section>
      ) : (
        <ul class="cards" aria-busy={!all}>
          {all?.map((repl) => (
            <li key={repl.id}>
              <ReplCard repl={repl} />
            </li>
          ))}
        </ul>
      )}
      {isCreating && <CreateRepl onClose={() => setCreating(false)} />}
    </main>
  );
}

/** How much of the quota is used: shown before it is hit. */
function Quota() {
  const [all, most] = [repls.value, limits.value];
  if (!all || !most) return <p class="quota" />;
  return (
    <p class={`quota ${quotaReason() ? "full" : ""}`}>
      {countInWords(all.length, "REPL")} of {most.repls}, {activeCount.value} of {most.active} open
    </p>
  );
}
