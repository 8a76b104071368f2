import { useId, useState } from "preact/hooks";
import { goTo, roomAddress } from "../address.ts";
import type { Template } from "../api.ts";
import { Dialog } from "../dialog.tsx";
import { Notice } from "../notice.tsx";
import { reasonOf } from "../words.ts";
import { createRepl, quotaReason, templates } from "./repls.ts";

/** The template gallery and a name; in a dialog when it can be closed. */
export function CreateRepl({ onClose }: { readonly onClose?: () => void }) {
  const form = <CreateForm {...(onClose ? { onClose } : {})} />;
  return onClose ? (
    <Dialog title="New REPL" onClose={onClose} isWide>
      {form}
    </Dialog>
  ) : (
    form
  );
}

function CreateForm({ onClose }: { readonly onClose?: () => void }) {
  const id = useId();
  const [chosen, choose] = useState<string | undefined>(undefined);
  const [name, setName] = useState("");
  const [failure, setFailure] = useState("");
  const [isBusy, setBusy] = useState(false);
  // Sent again with the same key, a create that seemed to fail makes no second REPL.
  const [key, setKey] = useState(() => crypto.randomUUID());
  const template = templates.value.find((one) => one.name === chosen) ?? templates.value.find(isUsual);
  const shownName = name || template?.title || "";
  const full = quotaReason();

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (!template) return;
    setBusy(true);
    setFailure("");
    try {
      const { id: replId } = await createRepl(template.name, shownName, key);
      goTo(roomAddress(replId));
    } catch (error) {
      setFailure(reasonOf(error));
      setKey(crypto.randomUUID());
      setBusy(false);
    }
  }

  return (
    <form onSubmit={(event) => void submit(event)}>
      <fieldset class="gallery">
        <legend>Start from</legend>
        {templates.value.map((one) => (
          <label key={one.name} class="template">
            <input
              type="radio"
              name={`${id}-template`}
              value={one.name}
              checked={one === template}
              onChange={() => choose(one.name)}
            />
            <span class="template-title">{one.title}</span>
            <span class="template-text">{one.description}</span>
            <code>{one.run}</code>
          </label>
        ))}
      </fieldset>
      <label for={`${id}-name`}>Name</label>
      <div class="row">
        <input
          id={`${id}-name`}
          value={name}
          onInput={({ currentTarget }) => setName(currentTarget.value)}
          placeholder={template?.title ?? ""}
          maxLength={60}
          dir="auto"
          autocomplete="off"
        />
        <button type="submit" class="primary" disabled={isBusy || !template || full !== undefined}>
          {isBusy ? "Creating …" : "Create and open"}
        </button>
        {onClose && (
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        )}
      </div>
      {full && <Notice kind="warning">{full}</Notice>}
      {failure && <Notice kind="error">{failure}</Notice>}
    </form>
  );
}

/** What most people begin with. */
const isUsual = ({ name }: Template) => name === "node";
