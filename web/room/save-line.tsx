import type { Repl } from "../api.ts";
import type { Progress } from "../events.ts";
import { useNow } from "../hooks.ts";
import { agoInWords, countInWords, momentInWords, sizeInWords } from "../words.ts";

interface SaveLineProps {
  readonly repl: Repl | undefined;
  readonly lastSave: Progress["lastSave"];
  readonly isInFiles: boolean;
}

/** What is safe, and what is not yet: at each moment, in a line. */
export function SaveLine({ repl, lastSave, isInFiles }: SaveLineProps) {
  const now = useNow(1000);
  if (!repl) return <p class="save-line" />;
  const known = [lastSave?.savedAt, repl.lastSave?.savedAt].filter((at) => at !== undefined).toSorted();
  const savedAt = known.at(-1);
  const { unsaved } = repl;
  // A save since has what the last report called unsaved.
  const isAtRisk = unsaved !== undefined && unsaved.bytes + unsaved.files > 0 && (savedAt ?? "") < unsaved.since;
  if (!isInFiles) return <p class="save-line at-risk">Typing is not in the files yet</p>;
  if (isAtRisk)
    return (
      <p class="save-line at-risk" title={unsaved.reason}>
        {sizeInWords(unsaved.bytes)} in {countInWords(unsaved.files, "file")} to be saved
        {unsaved.reason ? `: ${unsaved.reason}` : ""}
      </p>
    );
  // What cannot be saved, or a checkpoint that was killed: a save of the rest changes nothing of it.
  if (unsaved?.reason)
    return (
      <p class="save-line at-risk" title={unsaved.reason}>
        Not all is saved: {unsaved.reason}
      </p>
    );
  return (
    <p class="save-line">
      {savedAt ? (
        <>
          All saved,{" "}
          <time dateTime={savedAt} title={momentInWords(savedAt)}>
            {agoInWords(savedAt, now)}
          </time>
        </>
      ) : (
        "As the template made it"
      )}
    </p>
  );
}
