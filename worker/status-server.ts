import { createServer } from "node:http";
import type { WorkerMetrics } from "./metrics.ts";

interface StatusOptions {
  readonly hosts: readonly string[];
  readonly port: number;
  readonly metrics: Pick<WorkerMetrics, "render" | "contentType">;
  /** Whether work is asked for now. */
  readonly isReady: () => boolean;
}

/** Answers probes and Prometheus; the returned function ends it. Rejects when a port is taken. */
export async function startStatusServer({ hosts, port, metrics, isReady }: StatusOptions): Promise<() => void> {
  const servers = hosts.map(() =>
    createServer((request, response) => {
      const answer = (status: number, body: string, type = "text/plain") =>
        response.writeHead(status, { "content-type": type }).end(body);
      if (request.url === "/livez") answer(200, "ok");
      else if (request.url === "/readyz") answer(isReady() ? 200 : 503, isReady() ? "ok" : "no work is asked for");
      else if (request.url === "/metrics")
        void metrics.render().then(
          (text) => answer(200, text, metrics.contentType),
          () => answer(500, "the metrics cannot be read"),
        );
      else answer(404, "there are /livez, /readyz and /metrics");
    }),
  );
  await Promise.all(
    servers.map(
      (server, index) =>
        new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, hosts[index], resolve)),
    ),
  );
  return () => servers.forEach((server) => server.close());
}
