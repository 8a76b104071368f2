import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import {
  bracketMatching,
  foldGutter,
  foldKeymap,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import {
  Annotation,
  Compartment,
  EditorState,
  Transaction,
  type ChangeSet,
  type Extension,
  type Text,
  type TransactionSpec,
} from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import type { Document } from "./document.ts";

/** What a tab keeps of its editor while another tab is shown. */
export interface TabEditor {
  /** Makes others' changes. */
  take(changes: ChangeSet): void;
  /** Shows it in a view; what is returned takes it out again and keeps where it was. */
  show(view: EditorView): () => void;
}

const isTheirs = Annotation.define<boolean>();

/** The editor of a document. */
export function createEditorState(
  path: string,
  document: Document,
  language: Promise<Extension | undefined>,
): TabEditor {
  const colors = new Compartment();
  let shownIn: EditorView | undefined;
  let scrollTop = 0;
  let state = EditorState.create({
    doc: document.text,
    extensions: [
      lineNumbers(),
      highlightActiveLineGutter(),
      highlightSpecialChars(),
      history(),
      foldGutter(),
      drawSelection(),
      indentOnInput(),
      indentUnit.of(indentationOf(document.text)),
      bracketMatching(),
      closeBrackets(),
      autocompletion(),
      highlightActiveLine(),
      highlightSelectionMatches(),
      search({ top: true }),
      syntaxHighlighting(classHighlighter),
      colors.of([]),
      keymap.of([
        {
          key: "Mod-s",
          run: () => {
            void document.save();
            return true;
          },
        },
        ...closeBracketsKeymap,
        ...defaultKeymap,
        ...searchKeymap,
        ...historyKeymap,
        ...foldKeymap,
        ...completionKeymap,
        indentWithTab,
      ]),
      EditorView.contentAttributes.of({
        tabindex: "0",
        "aria-label": `Text of ${path}. To leave it by Tab, press Escape first.`,
      }),
      EditorView.updateListener.of(({ docChanged, transactions }) => {
        if (!docChanged) return;
        for (const transaction of transactions)
          if (transaction.docChanged && !transaction.annotation(isTheirs)) document.edit(transaction.changes);
      }),
    ],
  });

  function dispatch(spec: TransactionSpec): void {
    if (shownIn) shownIn.dispatch(spec);
    else state = state.update(spec).state;
  }
  void language.then((known) => known && dispatch({ effects: colors.reconfigure(known) }));

  return {
    take: (changes) => dispatch({ changes, annotations: [isTheirs.of(true), Transaction.addToHistory.of(false)] }),
    show(view) {
      view.setState(state);
      shownIn = view;
      view.scrollDOM.scrollTop = scrollTop;
      return () => {
        state = view.state;
        scrollTop = view.scrollDOM.scrollTop;
        shownIn = undefined;
      };
    },
  };
}

/** As the first indented lines do it; two spaces where there are none. */
function indentationOf(text: Text): string {
  for (let number = 1; number <= Math.min(text.lines, 200); number++) {
    const indent = /^(?:\t|  +)(?=\S)/.exec(text.line(number).text)?.[0];
    if (indent) return indent.startsWith("\t") ? "\t" : indent.length % 4 === 0 ? "    " : "  ";
  }
  return "  ";
}
