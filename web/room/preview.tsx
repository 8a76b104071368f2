import { useEffect, useState } from "preact/hooks";
import type { Room } from "../api.ts";
import { useAttempt } from "../hooks.ts";
import { Notice } from "../notice.tsx";
import type { Connection } from "./connection.ts";

interface PreviewProps {
  readonly room: Room;
  readonly connection: Connection;
  readonly publicPorts: ReadonlySet<number>;
  readonly onShared: (port: number, isPublic: boolean) => void;
  /** Grows when something was run, whose page is to be loaded. */
  readonly runs: number;
}

const usualPort = 3000;
/** What runs needs a moment until it listens; until then the preview waits by itself. */
const loadAfterRunMs = 1500;

/** What a program in the container shows on one of its ports. */
export function Preview({ room, connection, publicPorts, onShared, runs }: PreviewProps) {
  const [port, setPort] = useState(room.previews[0]?.port ?? usualPort);
  const [loads, setLoads] = useState(0);
  const { failure, attempt } = useAttempt();
  const [wasCopied, setCopied] = useState(false);
  const address = addressOf(room, port);
  const isPublic = publicPorts.has(port);

  useEffect(() => {
    if (runs === 0) return undefined;
    const timer = setTimeout(() => setLoads((count) => count + 1), loadAfterRunMs);
    return () => clearTimeout(timer);
  }, [runs]);

  const share = (wanted: boolean) =>
    attempt(async () => {
      await connection.ask("sharePort", { port, isPublic: wanted });
      onShared(port, wanted);
    });

  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(address);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  }

  return (
    <section class="panel preview" aria-label="Preview">
      <div class="tools">
        <label for="port">Port</label>
        <input
          id="port"
          type="number"
          min={1024}
          max={65535}
          list="ports"
          value={port}
          onChange={({ currentTarget }) => currentTarget.reportValidity() && setPort(Number(currentTarget.value))}
        />
        <datalist id="ports">
          {room.previews.map((preview) => (
            <option key={preview.port} value={preview.port} />
          ))}
        </datalist>
        <button type="button" onClick={() => setLoads(loads + 1)}>
          Reload
        </button>
        <a class="button" href={withTicket(address, room)} target="_blank" rel="noreferrer">
          New tab
        </a>
        <label class="check">
          <input
            type="checkbox"
            checked={isPublic}
            onChange={({ currentTarget }) => void share(currentTarget.checked)}
          />
          Public
        </label>
        {isPublic && (
          <button type="button" onClick={() => void copy()}>
            {wasCopied ? "Copied" : "Copy its address"}
          </button>
        )}
      </div>
      {failure && <Notice kind="error">{failure}</Notice>}
      <iframe
        key={`${port} ${loads}`}
        src={withTicket(address, room)}
        title={`What the program on port ${port} shows`}
        sandbox={`allow-scripts allow-forms allow-modals allow-popups allow-downloads${mayKeepOrigin(address) ? " allow-same-origin" : ""}`}
      />
    </section>
  );
}

function addressOf({ url, previews }: Room, port: number): string {
  return previews.find((preview) => preview.port === port)?.url ?? `${url}user-app/${port}/`;
}

/** A host of its own has no cookie yet the first time. */
function withTicket(address: string, { ticket, url }: Room): string {
  if (address.startsWith(url)) return address;
  const there = new URL(address);
  there.searchParams.set("ticket", ticket);
  return there.href;
}

/** A program on this page's own origin could act as who looks at it. */
function mayKeepOrigin(address: string): boolean {
  return new URL(address).origin !== location.origin;
}
