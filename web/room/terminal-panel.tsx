import { FitAddon } from "@xterm/addon-fit";
import { useEffect, useRef } from "preact/hooks";
import { Notice } from "../notice.tsx";
import type { Terminal, Terminals } from "./terminals.ts";

export function TerminalPanel({ terminals }: { readonly terminals: Terminals }) {
  const { all, activeKey, failure } = terminals;
  return (
    <section class="panel terminals" aria-label="Terminals">
      <div class="tabs" role="group" aria-label="Terminals">
        {all.value.map(({ key, title, ended }, index) => {
          const name = `${title}${title === "Terminal" ? ` ${index + 1}` : ""}`;
          return (
            <span key={key} class={`tab ${key === activeKey.value ? "active" : ""}`}>
              <button
                type="button"
                aria-current={key === activeKey.value ? "true" : undefined}
                onClick={() => (activeKey.value = key)}
              >
                {name}
                {ended.value !== undefined && " (ended)"}
              </button>
              <button type="button" class="x" aria-label={`End ${name}`} onClick={() => terminals.close(key)}>
                ×
              </button>
            </span>
          );
        })}
        <button type="button" class="quiet" onClick={() => void terminals.open("Terminal")}>
          New terminal
        </button>
      </div>
      {failure.value && <Notice kind="error">{failure.value}</Notice>}
      <div class="screens">
        {all.value.map((terminal) => (
          <Screen key={terminal.key} terminal={terminal} isShown={terminal.key === activeKey.value} />
        ))}
      </div>
    </section>
  );
}

function Screen({ terminal, isShown }: { readonly terminal: Terminal; readonly isShown: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const fit = new FitAddon();
    terminal.screen.loadAddon(fit);
    terminal.screen.open(place.current as HTMLElement);
    const watching = new ResizeObserver(([entry]) => {
      // Hidden, it has no size to take.
      if (entry && entry.contentRect.width > 0) fit.fit();
    });
    watching.observe(place.current as HTMLElement);
    return () => watching.disconnect();
  }, [terminal]);
  useEffect(() => {
    // Chosen among the terminals, it gets the keyboard; nobody who types elsewhere loses it.
    if (isShown && place.current?.closest("section")?.contains(document.activeElement)) terminal.screen.focus();
  }, [isShown]);
  return <div class="screen" hidden={!isShown} ref={place} />;
}
