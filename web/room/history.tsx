import { useEffect, useState } from "preact/hooks";
import { goTo, roomAddress } from "../address.ts";
import { api, bodyOf, type Repl, type Save, type SaveFiles } from "../api.ts";
import { Dialog } from "../dialog.tsx";
import { Notice } from "../notice.tsx";
import { agoInWords, countInWords, momentInWords, reasonOf, sizeInWords } from "../words.ts";

interface HistoryProps {
  readonly repl: Repl;
  readonly onClose: () => void;
  /** Goes back to a save: closes, restores, opens. Only `path` of it when one is named. */
  readonly onRestore: (generation: number, path?: string) => void;
}

const kinds: Readonly<Record<Save["kind"], string>> = {
  template: "as the template made it",
  checkpoint: "while open",
  close: "at a close",
  restored: "by going back",
  copy: "as a copy",
};

/** The saves of a REPL: what is in each, and the ways back to it. */
export function History({ repl, onClose, onRestore }: HistoryProps) {
  const [saves, setSaves] = useState<readonly Save[]>([]);
  const [before, setBefore] = useState<number | undefined>(undefined);
  const [chosen, choose] = useState<Save | undefined>(undefined);
  const [isLoading, setLoading] = useState(true);
  const [failure, setFailure] = useState("");

  async function load(from?: number): Promise<void> {
    setLoading(true);
    try {
      const query = { limit: "50", ...(from === undefined ? {} : { before: String(from) }) };
      const page = await bodyOf(api.api.repl[":id"].saves.$get({ param: { id: repl.id }, query }));
      setSaves((known) => [...(from === undefined ? [] : known), ...page.saves]);
      setBefore(page.before);
    } catch (error) {
      setFailure(reasonOf(error));
    }
    setLoading(false);
  }
  useEffect(() => void load(), []);

  return (
    <Dialog title="History of saves" onClose={onClose} isWide>
      {failure && <Notice kind="error">{failure}</Notice>}
      <div class="history">
        <div class="history-list">
          <ol reversed>
            {saves.map((save) => (
              <li key={save.generation}>
                <button
                  type="button"
                  aria-pressed={save.generation === chosen?.generation}
                  onClick={() => choose(save)}
                  title={momentInWords(save.savedAt)}
                >
                  <strong>Save {save.generation}</strong>
                  {save.isNewest && " (newest)"}, {agoInWords(save.savedAt)}
                  <br />
                  <span class="hint">
                    {kinds[save.kind]} · {countInWords(save.files, "file")}, {sizeInWords(save.bytes)}
                    {save.notSaved ? ` · without ${countInWords(save.notSaved, "path")}` : ""}
                  </span>
                </button>
              </li>
            ))}
          </ol>
          {!isLoading && saves.length === 0 && <p class="empty">Nothing is saved yet.</p>}
          {before !== undefined && (
            <button type="button" disabled={isLoading} onClick={() => void load(before)}>
              Older saves
            </button>
          )}
        </div>
        {chosen ? (
          <SaveDetails key={chosen.generation} repl={repl} save={chosen} onRestore={onRestore} />
        ) : (
          <p class="empty">Choose a save to look into it.</p>
        )}
      </div>
      <button type="button" onClick={onClose}>
        Back to the room
      </button>
    </Dialog>
  );
}

interface SaveDetailsProps {
  readonly repl: Repl;
  readonly save: Save;
  readonly onRestore: HistoryProps["onRestore"];
}

const longestText = 500_000;

function SaveDetails({ repl, save, onRestore }: SaveDetailsProps) {
  const [paths, setPaths] = useState<readonly string[]>([]);
  const [notSaved, setNotSaved] = useState<SaveFiles["notSaved"]>(undefined);
  const [shown, show] = useState<{ readonly path: string; readonly text: string } | undefined>(undefined);
  const [failure, setFailure] = useState("");
  const [isForking, setForking] = useState(false);
  const [name, setName] = useState(`Copy of ${repl.name}`.slice(0, 60));
  const root = `/api/repl/${repl.id}/saves/${save.generation}`;
  const urlOf = (path: string) => `${root}/files/${path.split("/").map(encodeURIComponent).join("/")}`;

  useEffect(() => {
    const param = { id: repl.id, generation: save.generation };
    bodyOf(api.api.repl[":id"].saves[":generation"].files.$get({ param })).then(
      (files) => {
        setPaths(files.entries.filter(({ type }) => type === "file").map(({ path }) => path));
        setNotSaved(files.notSaved);
      },
      (error: unknown) => setFailure(reasonOf(error)),
    );
  }, []);

  async function look(path: string): Promise<void> {
    setFailure("");
    try {
      const response = await fetch(urlOf(path));
      if (!response.ok) throw new Error(`${path} could not be read (${response.status}).`);
      const bytes = await response.arrayBuffer();
      const text = new TextDecoder().decode(bytes.slice(0, longestText));
      show({ path, text: text.includes("\0") ? "This is no text: download it." : text });
    } catch (error) {
      setFailure(reasonOf(error));
    }
  }

  async function fork(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    try {
      const json = { name, from: { replId: repl.id, generation: save.generation } };
      const header = { prefer: "respond-async", "idempotency-key": crypto.randomUUID() };
      const made = await bodyOf(api.api.repl.create.$post({ json, header }));
      goTo(roomAddress(made.id));
    } catch (error) {
      setFailure(reasonOf(error));
    }
  }

  return (
    <div class="history-details">
      <div class="row">
        <button type="button" class="primary" disabled={save.isNewest} onClick={() => onRestore(save.generation)}>
          Go back to this save
        </button>
        <button type="button" onClick={() => setForking(!isForking)} aria-expanded={isForking}>
          New REPL from it
        </button>
        <a class="button" href={`${root}/archive?format=zip`} download>
          Download all
        </a>
      </div>
      <p class="hint">
        Going back loses nothing: it makes a new save, and all others stay. The REPL is closed for it and opened again.
      </p>
      {isForking && (
        <form class="row" onSubmit={(event) => void fork(event)}>
          <label for="fork-name">Its name</label>
          <input
            id="fork-name"
            value={name}
            maxLength={60}
            required
            dir="auto"
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
          <button type="submit" class="primary">
            Create
          </button>
        </form>
      )}
      {failure && <Notice kind="error">{failure}</Notice>}
      {notSaved && (
        <Notice kind="warning">
          {countInWords(notSaved.count, "path")} could not be saved:
          <ul>
            {notSaved.first.map(({ path, why, isKept }) => (
              <li key={path}>
                <bdi>{path}</bdi>: {why}
                {isKept ? "; here it is as it was saved before" : ""}
              </li>
            ))}
          </ul>
        </Notice>
      )}
      <div class="history-files">
        <ul aria-label={`Files of save ${save.generation}`}>
          {paths.map((path) => (
            <li key={path}>
              <button type="button" class="link" aria-pressed={path === shown?.path} onClick={() => void look(path)}>
                <bdi>{path}</bdi>
              </button>
            </li>
          ))}
        </ul>
        {shown && (
          <div>
            <div class="row">
              <a class="button" href={urlOf(shown.path)} download>
                Download
              </a>
              <button type="button" disabled={save.isNewest} onClick={() => onRestore(save.generation, shown.path)}>
                Bring back this file alone
              </button>
            </div>
            <pre class="compare" tabIndex={0} aria-label={shown.path}>
              {shown.text}
            </pre>
          </div>
        )}
      </div>
    </div>
  );
}
