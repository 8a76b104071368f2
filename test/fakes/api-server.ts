import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: string;
}

/** A Kubernetes API server that answers as a test says, and a kubeconfig that leads to it. */
export async function startApiServer(answer: (request: SeenRequest, response: ServerResponse) => object | undefined) {
  const requests: SeenRequest[] = [];
  const server = createServer((message, response) => {
    void read(message).then((request) => {
      requests.push(request);
      const body = answer(request, response);
      if (body === undefined) return;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(body));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const kubeconfig = join(tmpdir(), `kubeconfig-${randomUUID()}`);
  const { port } = server.address() as AddressInfo;
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } }],
    users: [{ name: "c", user: {} }],
    contexts: [{ name: "c", context: { cluster: "c", user: "c" } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  return {
    kubeconfig,
    requests,
    stop(): void {
      server.closeAllConnections();
      server.close();
      rmSync(kubeconfig, { force: true });
    },
  };
}

async function read(message: IncomingMessage): Promise<SeenRequest> {
  const url = new URL(message.url ?? "/", "http://localhost");
  let body = "";
  for await (const chunk of message) body += String(chunk);
  return { method: message.method ?? "", path: url.pathname, query: url.searchParams, body };
}
