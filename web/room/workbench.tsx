import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { follow, goTo } from "../address.ts";
import { api, bodyOf, type Room, type Template } from "../api.ts";
import { useAttempt, useNow } from "../hooks.ts";
import { Notice } from "../notice.tsx";
import { Steps } from "../steps.tsx";
import { ThemeButton } from "../theme.tsx";
import { reasonOf } from "../words.ts";
import { connect } from "./connection.ts";
import { ConnectionLost } from "./document.ts";
import { Editor } from "./editor.tsx";
import type { Entering } from "./entering.ts";
import { FileTree } from "./file-tree.tsx";
import { History } from "./history.tsx";
import { Preview } from "./preview.tsx";
import { SaveLine } from "./save-line.tsx";
import { makeScreen } from "./screen.ts";
import { createTabs } from "./tabs.ts";
import { TerminalPanel } from "./terminal-panel.tsx";
import { createTerminals } from "./terminals.ts";
import { createWorkspace } from "./workspace.ts";

interface WorkbenchProps {
  readonly entering: Entering;
  readonly room: Room;
  readonly onRestore: (generation: number, path?: string) => void;
  /** What is to be said when it is closed, and what was typed last is here alone. */
  readonly outside?: ComponentChildren;
}

const runTitle = "Run";
/** On a narrow screen one is shown at a time. */
const panels = ["Files", "Editor", "Terminal", "Preview"] as const;
type Panel = (typeof panels)[number];

/** Files, editor, terminals and preview of an open REPL. */
export function Workbench({ entering, room, onRestore, outside }: WorkbenchProps) {
  const [publicPorts, setPublicPorts] = useState<ReadonlySet<number>>(new Set());
  const [panel, setPanel] = useState<Panel>("Editor");
  const [runs, setRuns] = useState(0);
  const [template, setTemplate] = useState<Template | undefined>(undefined);
  const [read, setRead] = useState<ReadonlySet<string>>(new Set());
  const [isHistory, setHistory] = useState(false);
  const { failure, attempt } = useAttempt();
  const parts = useMemo(() => assemble(room, entering, (ports) => setPublicPorts(new Set(ports))), [room]);
  const { connection, workspace, tabs, terminals } = parts;
  const repl = entering.repl.value;
  const { status, steps, lastSave, warning, error } = entering.progress.value;
  const news = [warning ?? "", error ?? ""].filter((text) => text !== "" && !read.has(text));

  useEffect(() => parts.dispose, [parts]);
  const isAhead = !tabs.isAllSaved();
  useEffect(() => void (entering.isAhead.value = isAhead), [isAhead]);
  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      if (!tabs.isAllSaved()) event.preventDefault();
    };
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [tabs]);
  useEffect(() => {
    void bodyOf(api.api.templates.$get()).then(
      (all) => setTemplate(all.find(({ name }) => name === entering.repl.value?.template)),
      () => {},
    );
  }, []);
  useEffect(() => {
    if (tabs.activePath.value) setPanel("Editor");
  }, [tabs.activePath.value]);

  const withAllInFiles = (work: () => unknown) =>
    attempt(async () => {
      await tabs.finishAll();
      await work();
    });

  /** To the list, when nothing is lost by it. */
  function leave(event: MouseEvent & { currentTarget: HTMLAnchorElement }): void {
    if (!isAhead) return follow(event);
    event.preventDefault();
    void withAllInFiles(() => goTo("/"));
  }

  const close = () => withAllInFiles(() => bodyOf(api.api.repl.session[":id"].$delete({ param: { id: room.replId } })));

  function run(command: string): Promise<void> {
    setPanel("Terminal");
    return withAllInFiles(async () => {
      await terminals.run(runTitle, command);
      setRuns((count) => count + 1);
    });
  }

  return (
    <div class="room">
      <header class="top">
        <a class="brand" href="/" onClick={leave} title="Your REPLs; this one stays open">
          Devex
        </a>
        <h1 dir="auto" title={room.replName}>
          {room.replName}
        </h1>
        <SaveLine repl={repl} lastSave={lastSave} isInFiles={!isAhead} />
        {template && (
          <>
            <button type="button" class="primary" onClick={() => void run(template.run)} title={template.run}>
              Run
            </button>
            <button type="button" onClick={() => terminals.interrupt(runTitle)}>
              Stop
            </button>
          </>
        )}
        <button type="button" onClick={() => setHistory(true)} disabled={!repl}>
          History
        </button>
        <button type="button" onClick={() => void close()}>
          Save and close
        </button>
        <ThemeButton />
      </header>
      {outside ? (
        <Notice kind="warning">
          What you typed last is kept here, and goes into the files when this REPL is open again.
          {outside}
        </Notice>
      ) : (
        <LostConnection connection={connection} />
      )}
      {status === "starting" && (
        <Notice kind="warning">
          The container was lost and starts again, with the files of the last save.
          <Steps steps={steps} />
        </Notice>
      )}
      {news.map((text) => (
        <Notice key={text} kind="warning">
          {text}{" "}
          <button type="button" class="link" onClick={() => setRead(new Set([...read, text]))}>
            Dismiss
          </button>
        </Notice>
      ))}
      {failure && <Notice kind="error">{failure}</Notice>}
      <nav class="panel-choice" aria-label="Part of the room">
        {panels.map((one) => (
          <button key={one} type="button" aria-pressed={one === panel} onClick={() => setPanel(one)}>
            {one}
          </button>
        ))}
      </nav>
      <main class="bench" data-panel={panel}>
        <FileTree workspace={workspace} tabs={tabs} />
        <Editor tabs={tabs} workspace={workspace} />
        <TerminalPanel terminals={terminals} />
        <Preview
          room={room}
          connection={connection}
          publicPorts={publicPorts}
          onShared={(port, isPublic) =>
            setPublicPorts((before) => new Set([...before].filter((one) => one !== port).concat(isPublic ? port : [])))
          }
          runs={runs}
        />
      </main>
      {isHistory && repl && (
        <History
          repl={repl}
          onClose={() => setHistory(false)}
          onRestore={(generation, path) => {
            setHistory(false);
            void withAllInFiles(() => onRestore(generation, path));
          }}
        />
      )}
    </div>
  );
}

type Parts = ReturnType<typeof assemble>;

/** What a room is made of: all on one connection. */
function assemble(room: Room, entering: Entering, onPublicPorts: (ports: readonly number[]) => void) {
  let { ticket } = room;
  let isFirst = true;
  const socketUrl = new URL("api/v1/repl/ws", room.url.replace(/^http/, "ws"));
  const connection = connect({
    async address() {
      // The REPL may be closed by now, or its ticket old.
      if (!isFirst) ticket = await entering.freshTicket();
      isFirst = false;
      socketUrl.searchParams.set("ticket", ticket);
      return socketUrl.href;
    },
    onOpen: () =>
      void begin().catch((error: unknown) => {
        if (!(error instanceof ConnectionLost)) workspace.failure.value = reasonOf(error);
      }),
  });
  const workspace = createWorkspace({
    connection,
    filesUrl: new URL("api/v1/files/", room.url).href,
    ticket: () => ticket,
  });
  const tabs = createTabs(connection, room.replId);
  const terminals = createTerminals(connection, room.replId, makeScreen);
  let wasOpen = false;

  async function begin(): Promise<void> {
    const loading = connection.ask<{ publicPorts?: number[] }>("Connection", {}, "Loaded");
    const root = workspace.load("");
    const shells = terminals.connected();
    onPublicPorts((await loading).publicPorts ?? []);
    await root;
    if (wasOpen) {
      workspace.reloadAll();
      tabs.lookAtAll();
    } else if (!(await tabs.reopen())) await openFirst();
    wasOpen = true;
    await shells;
  }

  /** Of a new REPL, what it is about. */
  async function openFirst(): Promise<void> {
    const readMe = workspace.folders.value.get("")?.find(({ name }) => /^readme/i.test(name));
    if (readMe) await tabs.open(readMe.name);
  }

  return {
    connection,
    workspace,
    tabs,
    terminals,
    dispose() {
      terminals.dispose();
      // Who leaves in the middle of a word has it in the file, also when the connection has to come back for that.
      void tabs
        .finishAll(Infinity)
        .catch(() => {})
        .finally(() => {
          tabs.dispose();
          connection.close();
        });
    },
  };
}

function LostConnection({ connection }: Pick<Parts, "connection">) {
  const state = connection.state.value;
  const now = useNow(250, state.kind === "lost");
  if (state.kind !== "lost") return null;
  const seconds = Math.max(0, Math.ceil((state.nextTry - now) / 1000));
  return (
    <Notice kind="error">
      The connection is lost. Go on typing: it is kept here and sent when the connection is back.{" "}
      {seconds > 0 ? `Next try in ${seconds} s.` : "Trying …"}{" "}
      <button type="button" class="link" onClick={() => connection.tryNow()}>
        Try now
      </button>
    </Notice>
  );
}
