import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { follow, goTo } from "../address.ts";
import { api, bodyOf, type Room as RoomAnswer } from "../api.ts";
import { Notice } from "../notice.tsx";
import { Reason } from "../reason.tsx";
import { Steps } from "../steps.tsx";
import { ThemeButton } from "../theme.tsx";
import { reasonOf, stateInWords } from "../words.ts";
import { enterRoom, type Entering } from "./entering.ts";
import { Workbench } from "./workbench.tsx";

export interface RoomProps {
  readonly replId: string;
}

/** The room of one REPL, from the wish to enter it until it is left. */
export function Room({ replId }: RoomProps) {
  const entering = useMemo(() => enterRoom(replId), [replId]);
  useEffect(() => entering.leave, [entering]);
  const { entrance, repl } = entering;
  const name = repl.value?.name ?? "";
  useEffect(() => {
    document.title = name ? `${name} · Devex` : "Devex";
  }, [name]);

  const now = entrance.value;
  const room = useRef<RoomAnswer | undefined>(undefined);
  if (now.kind === "open") room.current ??= now.room;
  // Closed by somebody else, or for being idle, it stays as it is while it holds what is nowhere else.
  if (room.current && (now.kind === "open" || entering.isAhead.value))
    return (
      <Workbench
        key={replId}
        entering={entering}
        room={room.current}
        onRestore={(generation, path) => void restore(generation, path)}
        outside={now.kind === "open" ? undefined : <Outside entering={entering} />}
      />
    );
  room.current = undefined;
  return (
    <>
      <header class="top">
        <a class="brand" href="/" onClick={follow}>
          Devex
        </a>
        <span class="who" />
        <ThemeButton />
      </header>
      <main class="narrow">
        <h1>
          <bdi>{name || (now.kind === "missing" ? "Not here" : "One moment")}</bdi>
        </h1>
        <Outside entering={entering} />
      </main>
    </>
  );

  async function restore(generation: number, path?: string): Promise<void> {
    await entering.restore(async () => {
      const param = { id: replId };
      await bodyOf(api.api.repl.session[":id"].$delete({ param }));
      const json = path === undefined ? {} : { path };
      await bodyOf(api.api.repl[":id"].saves[":generation"].restore.$post({ param: { ...param, generation }, json }));
    });
  }
}

/** What is to be said and done while one is not in. */
function Outside({ entering }: { readonly entering: Entering }) {
  const { entrance, repl, progress } = entering;
  const [failure, setFailure] = useState("");
  const [isClosing, setClosing] = useState(false);
  const now = entrance.value;
  const { steps, status = repl.value?.status } = progress.value;
  const list = (
    <a class="button" href="/" onClick={follow}>
      To your REPLs
    </a>
  );
  if (now.kind === "missing")
    return (
      <>
        <Notice kind="error">There is no such REPL: it was deleted, or it belongs to somebody else.</Notice>
        {list}
      </>
    );
  if (now.kind === "failed")
    return (
      <>
        <Notice kind="error">
          <Reason text={now.reason} />
        </Notice>
        <p>What was saved is safe. Trying again is safe too.</p>
        <Steps steps={steps} />
        <div class="row">
          <button type="button" class="primary" onClick={() => void entering.open()}>
            Try again
          </button>
          {list}
        </div>
      </>
    );
  if (now.kind === "closed")
    return (
      <>
        <p>It is closed, and everything in it is saved.</p>
        <div class="row">
          <button type="button" class="primary" onClick={() => void entering.open()} autofocus>
            Open it again
          </button>
          {list}
        </div>
      </>
    );
  const cancel = async () => {
    setClosing(true);
    try {
      await bodyOf(api.api.repl.session[":id"].$delete({ param: { id: repl.value?.id ?? "" } }));
      goTo("/");
    } catch (error) {
      setFailure(reasonOf(error));
      setClosing(false);
    }
  };
  return (
    <div aria-busy="true">
      <p>{status ? stateInWords(status) : "Looking for it"} …</p>
      <Steps steps={steps} />
      {progress.value.statusReason && (
        <Notice kind="warning">
          <Reason text={progress.value.statusReason} />
        </Notice>
      )}
      {failure && <Notice kind="error">{failure}</Notice>}
      <div class="row">
        {list}
        {(status === "creating" || status === "starting") && (
          <button type="button" class="quiet" disabled={isClosing} onClick={() => void cancel()}>
            Cancel
          </button>
        )}
      </div>
    </div>
  );
}
