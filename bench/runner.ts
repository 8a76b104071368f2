import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as k8s from "@kubernetes/client-node";
import WebSocket from "ws";
import { label } from "../domain/naming.ts";
import { connectEditor } from "../tools/editor-client.ts";
import { bundle } from "../tools/image-contents.ts";
import { load } from "./load.ts";
import { answers, withPerson } from "./programs.ts";
import { percentile, ratio, rowPrinter, type BenchOptions, type Row } from "./rows.ts";
import { runnerMemory } from "./runner-memory.ts";

const floorPort = 3000;
const keyPresses = 1000;
const floodBytes = 64 * 1024 * 1024;
const printedBytes = 16 * 1024 * 1024;
const starts = 20;

/**
 * What people feel of the runner: key presses, terminal output and previews through the ingress, beside a bare echo
 * and a bare server in the same pod behind the same ingress; and how much memory and time to start it takes.
 */
export async function benchRunner({ environment }: BenchOptions, print: (row: Row) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "devex-bench-"));
  const cluster = openCluster(environment);
  await withPerson(environment, async (api) => {
    const { id } = await api.create("node", "Bench");
    const { url, ticket } = await api.open(id);
    const inside = join(folder, "inside.mjs");
    await bundle(new URL("inside-pod.ts", import.meta.url).pathname, inside, []);
    const stored = await fetch(`${url}api/v1/files/inside.mjs?ticket=${ticket}`, {
      method: "PUT",
      body: new Uint8Array(readFileSync(inside)),
    });
    if (!stored.ok) throw new Error(`the bench's program was not stored: ${await stored.text()}`);
    const editor = await connectEditor(url, ticket, 120_000);
    const terminal = async () => (await editor.ask("requestTerminal", {}, "terminalConnected"))["sessionId"];
    const session = await terminal();
    const memory = () => runnerMemory(editor, session);
    print({ case: "resident memory of an idle runner with one editor", ...(await memory()) });
    const output = await editor.type(session, `node inside.mjs starts ${starts}; echo o''k`, "ok\r\n");
    const told = /times (\{.*?\})/.exec(output.replaceAll(/[\r\n]/g, ""))?.[1] ?? "{}";
    const { bare = [], runner = [] } = JSON.parse(told) as { bare?: number[]; runner?: number[] };
    const row = rowPrinter(print);
    row("floor: start of a bare server in Node", bare);
    row("start until ping answers", runner, { ratioToFloor: ratio(percentile(runner, 0.5), percentile(bare, 0.5)) });

    await editor.type(session, `node inside.mjs serve ${floorPort} &`, "serving");
    const floorUrl = await cluster.expose(id, url);
    await answers(floorUrl);
    await sockets(url, floorUrl, ticket, print);
    print({ case: "resident memory of the runner after that", ...(await memory()) });

    const direct = await load(floorUrl);
    print({ case: "floor: the program through the ingress, without the runner", ...direct });
    const preview = await load(`${url}user-app/${floorPort}/`, { header: `cookie=devex_repl=${ticket}` });
    const ratioToFloor = ratio(direct.requestsPerSecond, preview.requestsPerSecond);
    print({ case: "preview of the program", ...preview, ratioToFloor });
    await editor.close();
    await cluster.withdraw(id);
    await api.remove(id);
  }).finally(() => rmSync(folder, { recursive: true }));
}

async function sockets(url: string, floorUrl: string, ticket: string, print: (row: Row) => void): Promise<void> {
  const bare = new WebSocket(floorUrl.replace("http", "ws"), { perMessageDeflate: false });
  await once(bare, "open");
  const socketUrl = `${url.replace("http", "ws")}api/v1/repl/ws?ticket=${ticket}`;
  const runner = new WebSocket(socketUrl, { perMessageDeflate: false });
  await once(runner, "open");
  const framed = (event: string, data: unknown) => JSON.stringify({ event, data });
  runner.send(framed("requestTerminal", {}));
  const sessionId = await new Promise<unknown>((resolve) =>
    runner.on("message", (text: Buffer) => {
      const frame = JSON.parse(text.toString()) as { event: string; data: { sessionId?: string } };
      if (frame.event === "terminalConnected") resolve(frame.data.sessionId);
    }),
  );
  const type = (data: string) => runner.send(framed("terminalInput", { sessionId, data }));
  type("stty raw echo; exec cat > /dev/null\r");
  await quiet(runner);

  // Turn by turn, so that whatever else the machine does meets both.
  const [floor, ours]: [number[], number[]] = [[], []];
  for (let press = 0; press < keyPresses; press++) {
    floor.push(await roundTrip(bare, () => bare.send("x")));
    ours.push(await roundTrip(runner, () => type("x")));
  }
  const row = (times: number[]) => ({ n: times.length, ...tenths(times) });
  print({ case: "floor: a bare socket echoes a letter", ...row(floor) });
  print({
    case: "a key press until the terminal echoes it",
    ...row(ours),
    ratioToFloor: ratio(tenths(ours).p50Ms, tenths(floor).p50Ms),
    ratioToFloorP99: ratio(tenths(ours).p99Ms, tenths(floor).p99Ms),
  });

  const bareRate = await megabytesPerSecond(bare, () => bare.send(`flood ${floodBytes}`));
  print({ case: "floor: a bare socket sends 64 MiB", megabytesPerSecond: bareRate });
  bare.close();
  runner.close();

  const printing = new WebSocket(socketUrl, { perMessageDeflate: false });
  await once(printing, "open");
  const printed = new Promise<number>((resolve) => {
    let [bytes, tail] = [0, ""];
    printing.on("message", (text: Buffer) => {
      const { event, data } = JSON.parse(text.toString()) as { event: string; data: string };
      if (event !== "terminalResponse") return;
      bytes += data.length;
      if ((tail + data).includes("end\r\n")) resolve(bytes);
      tail = data.slice(-16);
    });
  });
  printing.send(framed("requestTerminal", {}));
  const begun = performance.now();
  const line = `yes ${"y".repeat(78)} | head -c ${printedBytes}; echo en''d\r`;
  printing.send(framed("terminalInput", { data: line }));
  const bytes = await printed;
  const rate = Math.round(bytes / 1e6 / ((performance.now() - begun) / 1000));
  print({
    case: "a terminal prints 16 MiB",
    megabytesPerSecond: rate,
    ratioToFloor: Math.round((bareRate / rate) * 10) / 10,
  });
  printing.close();
}

async function roundTrip(socket: WebSocket, send: () => void): Promise<number> {
  const begun = performance.now();
  const answered = once(socket, "message");
  send();
  await answered;
  return performance.now() - begun;
}

async function quiet(socket: WebSocket): Promise<void> {
  for (let last = -1, heard = 0; heard !== last;) {
    last = heard;
    const count = () => heard++;
    socket.on("message", count);
    await new Promise((resolve) => setTimeout(resolve, 500));
    socket.off("message", count);
  }
}

async function megabytesPerSecond(socket: WebSocket, begin: () => void): Promise<number> {
  const begun = performance.now();
  await new Promise<void>((resolve) => {
    let bytes = 0;
    socket.on("message", (data: Buffer) => {
      bytes += data.length;
      if (bytes >= floodBytes) resolve();
    });
    begin();
  });
  return Math.round(floodBytes / 1e6 / ((performance.now() - begun) / 1000));
}

/** Times below a millisecond need a digit more than rows of seconds. */
function tenths(times: readonly number[]) {
  const [p50, p99] = [0.5, 0.99].map(
    (share) =>
      percentile(
        times.map((time) => time * 100),
        share,
      ) / 100,
  );
  return { p50Ms: p50 ?? 0, p99Ms: p99 ?? 0 };
}

/** A second way to the pod of a REPL: the ingress leads to the bench's own program in it. */
function openCluster(environment: Readonly<Record<string, string>>) {
  const config = new k8s.KubeConfig();
  config.loadFromFile(environment["KUBECONFIG"] ?? "");
  const namespace = environment["REPL_NAMESPACE"] ?? "";
  const core = config.makeApiClient(k8s.CoreV1Api);
  const networking = config.makeApiClient(k8s.NetworkingV1Api);
  const nameOf = (replId: string) => `floor-${replId}`;
  return {
    async expose(replId: string, url: string): Promise<string> {
      const name = nameOf(replId);
      const path = `/${name}/`;
      const selector = { [label.name]: "devex-repl", [label.replId]: replId };
      await core.createNamespacedService({
        namespace,
        body: { metadata: { name }, spec: { selector, ports: [{ port: floorPort }] } },
      });
      const backend = { service: { name, port: { number: floorPort } } };
      await networking.createNamespacedIngress({
        namespace,
        body: {
          metadata: { name },
          spec: {
            ingressClassName: environment["INGRESS_CLASS"] ?? "",
            rules: [{ http: { paths: [{ path, pathType: "Prefix", backend }] } }],
          },
        },
      });
      return new URL(path, url).href;
    },
    async withdraw(replId: string): Promise<void> {
      await networking.deleteNamespacedIngress({ namespace, name: nameOf(replId) });
      await core.deleteNamespacedService({ namespace, name: nameOf(replId) });
    },
  };
}
