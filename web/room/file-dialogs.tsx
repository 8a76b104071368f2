import { useEffect, useRef, useState } from "preact/hooks";
import { Dialog } from "../dialog.tsx";
import { useAttempt } from "../hooks.ts";
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
  const { failure, attempt } = useAttempt();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const name = first.lastIndexOf("/") + 1;
    const dot = first.lastIndexOf(".");
    input.current?.setSelectionRange(name, dot > name ? dot : first.length);
  }, []);
  function submit(event: SubmitEvent): void {
    event.preventDefault();
    void attempt(() => onAnswer(path));
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
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
