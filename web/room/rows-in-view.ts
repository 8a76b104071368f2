import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** As many are drawn whatever is in view. */
const fewRows = 300;
/** Beyond what is in view, for the keyboard and for quick scrolling. */
const marginRows = 40;
const guessedHeight = 27;

/** Of a long list whose rows have one height: which are in view, and the room that the others would take. */
export function useRowsInView(list: { readonly current: HTMLElement | null }, count: number) {
  const [view, setView] = useState({ top: 0, height: 800, row: guessedHeight });
  const toFocus = useRef<number | undefined>(undefined);
  const isLong = count > fewRows;

  useEffect(() => {
    const element = list.current;
    if (!element || !isLong) return undefined;
    const look = () =>
      setView({
        top: element.scrollTop,
        height: element.clientHeight,
        row: element.querySelector("[data-index]")?.getBoundingClientRect().height || guessedHeight,
      });
    look();
    element.addEventListener("scroll", look, { passive: true });
    const resizing = new ResizeObserver(look);
    resizing.observe(element);
    return () => {
      element.removeEventListener("scroll", look);
      resizing.disconnect();
    };
  }, [isLong]);

  /** Focuses a row that is drawn; brings another one into view, to be focused when it is drawn. */
  function reveal(index: number): void {
    const row = list.current?.querySelector<HTMLElement>(`[data-index="${index}"]`);
    toFocus.current = row ? undefined : index;
    if (row) row.focus();
    else list.current?.scrollTo({ top: index * view.row - view.height / 2 });
  }
  useLayoutEffect(() => {
    // Rows may have gone meanwhile.
    if (toFocus.current !== undefined) reveal(Math.min(toFocus.current, count - 1));
  });

  const from = isLong ? Math.min(count, Math.max(0, Math.floor(view.top / view.row) - marginRows)) : 0;
  const to = isLong ? Math.min(count, Math.ceil((view.top + view.height) / view.row) + marginRows) : count;
  return {
    /** Those to draw: from this one, up to but not that one. */
    from,
    to,
    /** Pixels above the first and below the last that is drawn. */
    before: from * view.row,
    after: (count - to) * view.row,
    /** Brings a row into view and gives it the keyboard. */
    reveal,
  };
}
