import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { connect, createServer as createSocketServer, type AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** Servers for one test, gone at its end: one that answers, one that is not there, and one that accepts nobody. */

export async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

/** Where nobody listens (any more). */
export async function addressOfNobody(): Promise<URL> {
  const nobody = createSocketServer().listen(0, "127.0.0.1");
  await once(nobody, "listening");
  const { port } = nobody.address() as AddressInfo;
  await new Promise((resolve) => nobody.close(resolve));
  return new URL(`http://127.0.0.1:${port}`);
}

const acceptsNobody = `import socket, time
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(0)
print(server.getsockname()[1], flush=True)
time.sleep(600)`;

/** A server that listens and does nothing else any more; its queue is soon full. */
export async function serveNobody(): Promise<URL> {
  const busy = spawn("python3", ["-c", acceptsNobody], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void busy.kill("SIGKILL"));
  const [port] = (await once(busy.stdout, "data")) as [Buffer];
  const url = new URL(`http://127.0.0.1:${port.toString().trim()}`);
  // As many as its queue has places for, and more.
  for (let place = 0; place < 4; place++) {
    const waiting = connect(Number(url.port), url.hostname).on("error", () => {});
    onTestFinished(() => void waiting.destroy());
  }
  return url;
}
