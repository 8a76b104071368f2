import { useEffect, useRef, useState } from "preact/hooks";
import { reasonOf } from "../api.ts";
import { Dialog } from "../dialog.tsx";
import { Notice } from "../notice.tsx";

interface PathDialogProps {
  readonly title: string;
  readonly first: string;
  readonly onAnswer: (path: string) => Promise<void>;
  readonly onClose: () => void;
}

/** Asks for a path; its last name is selected, to be typed over. */
export function PathDialog({ title, first, onAnswer, onClose }: PathDialogProps) {
  const [path, setPath] = useState(first);
  const [failure, setFailure] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const name = first.lastIndexOf("/") + 1;
    const dot = first.lastIndexOf(".");
    input.current?.setSelectionRange(name, dot > name ? dot : first.length);
  }, []);
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    try {
      await onAnswer(path);
    } catch (error) {
      setFailure(reasonOf(error));
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <label for="path">Path, with / between folders</label>
        <input
          id="path"
          ref={input}
          value={path}
          onInput={({ currentTarget }) => setPath(currentTarget.value)}
          required
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          autofocus
        />
        {failure && <Notice kind="error">{failure}</Notice>}
        <div class="row">
          <button type="submit" class="primary">
            Done
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
