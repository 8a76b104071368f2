import { useState } from "preact/hooks";
import { follow, roomAddress } from "../address.ts";
import type { Repl } from "../api.ts";
import { ConfirmDialog } from "../dialog.tsx";
import { isInTransition } from "../events.ts";
import { useAttempt } from "../hooks.ts";
import { Notice } from "../notice.tsx";
import { isFailingClose } from "../advice.ts";
import { Reason } from "../reason.tsx";
import { Steps } from "../steps.tsx";
import { agoInWords, countInWords, momentInWords, sizeInWords, stateInWords } from "../words.ts";
import { closeRepl, deleteRepl, progressOf, templates } from "./repls.ts";

export function ReplCard({ repl }: { readonly repl: Repl }) {
  const { id, name, template, status, statusReason, lastSave, createdAt, lastOpenedAt } = repl;
  const { failure, attempt } = useAttempt();
  const [isAsking, setAsking] = useState(false);
  const title = templates.value.find((one) => one.name === template)?.title ?? template;
  const isBusy = isInTransition(status);
  const { steps } = progressOf(id);
  const [enter, leave] = status === "running" ? ["Enter", "Save and close"] : ["Open", "Cancel"];
  // A close that fails makes way for its owner.
  const mayEnter = status !== "deleting" && (status !== "stopping" || isFailingClose(statusReason));

  return (
    <article class="card" aria-label={name}>
      <div class="card-head">
        <h2>
          <a href={roomAddress(id)} onClick={follow}>
            <bdi>{name}</bdi>
          </a>
        </h2>
        <span class={`state ${status}`}>{stateInWords(status)}</span>
      </div>
      <p class="hint">
        {title} · {lastOpenedAt ? "opened" : "made"}{" "}
        <time dateTime={lastOpenedAt ?? createdAt} title={momentInWords(lastOpenedAt ?? createdAt)}>
          {agoInWords(lastOpenedAt ?? createdAt)}
        </time>
        {lastSave && ` · ${countInWords(lastSave.files, "file")}, ${sizeInWords(lastSave.bytes)} saved`}
      </p>
      {statusReason && (
        <Notice kind={status === "failed" ? "error" : "warning"}>
          <Reason text={statusReason} />
        </Notice>
      )}
      {isBusy && <Steps steps={steps} />}
      {failure && <Notice kind="error">{failure}</Notice>}
      <div class="row">
        {mayEnter && (
          <a class="button primary" href={roomAddress(id)} onClick={follow} aria-label={`${enter}: ${name}`}>
            {enter}
          </a>
        )}
        {(status === "running" || status === "creating" || status === "starting") && (
          <button type="button" onClick={() => void attempt(() => closeRepl(id))} aria-label={`${leave}: ${name}`}>
            {leave}
          </button>
        )}
        {status !== "deleting" && (
          <button type="button" class="quiet" onClick={() => setAsking(true)} aria-label={`Delete: ${name}`}>
            Delete
          </button>
        )}
      </div>
      {isAsking && (
        <ConfirmDialog
          title={`Delete ${name}?`}
          text="It goes with all its files and every save of them. Nobody can bring them back."
          yes="Delete for good"
          no="Keep it"
          onYes={() => void attempt(() => deleteRepl(id))}
          onClose={() => setAsking(false)}
        />
      )}
    </article>
  );
}
