import { serve } from "@hono/node-server";
import { createKubernetesCluster } from "../adapters/kubernetes-cluster.ts";
import { createRedisReplDirectory } from "../adapters/redis-repl-directory.ts";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { createTemporalClient } from "../adapters/temporal-client.ts";
import { loadConfig } from "../config/config.ts";
import { createLogger } from "../config/logger.ts";
import { runMain } from "../config/start-up.ts";
import { loadTemplates } from "../config/templates.ts";
import { createApp } from "./app.ts";
import { createReplReader } from "./repl-reader.ts";
import { createReplWorkflows } from "./repl-workflows.ts";
import { createSessions } from "./sessions.ts";
import { createTickets } from "./tickets.ts";

await runMain(async () => {
  const config = loadConfig(process.env);
  const logger = createLogger("api", config.LOG_LEVEL);
  const store = createS3ObjectStore({
    endpoint: config.S3_ENDPOINT,
    region: config.S3_REGION,
    bucket: config.S3_BUCKET,
    accessKey: config.S3_ACCESS_KEY,
    secretKey: config.S3_SECRET_KEY,
  });
  const directory = createRedisReplDirectory({ url: config.REDIS_URL, sessionTtlSeconds: config.MAX_LIFETIME });
  const cluster = createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: config.REPL_NAMESPACE });
  const { client, connection } = createTemporalClient({
    address: config.TEMPORAL_ADDRESS,
    namespace: config.TEMPORAL_NAMESPACE,
  });
  const workflows = createReplWorkflows(client);

  const app = createApp({
    reader: createReplReader({ directory, store }),
    workflows,
    templates: loadTemplates(),
    tickets: await createTickets(config.SESSION_SECRET, config.MAX_LIFETIME),
    sessions: createSessions(config.SESSION_SECRET),
    checks: {
      k8s: () => cluster.check(),
      s3: () => store.check(),
      redis: () => directory.check(),
      temporal: () => workflows.check(),
    },
    logger,
    frontendUrl: config.FRONTEND_URL,
    allowedOrigins: [new URL(config.FRONTEND_URL).origin, `http://localhost:${config.PORT}`],
    isProduction: config.isProduction,
    secureCookies: config.isProduction,
    cookieDomain: config.COOKIE_DOMAIN,
  });
  const server = serve({ fetch: app.fetch, hostname: config.HOST, port: config.PORT }, ({ address, port }) => {
    logger.info({ event: "api ready", address, port }, `API ready on http://${address}:${port}`);
  });
  server.on("error", (error: NodeJS.ErrnoException) => {
    console.error(
      error.code === "EADDRINUSE" ? `Port ${config.PORT} is taken. Set PORT to another one.` : error.message,
    );
    process.exit(1);
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      logger.info({ event: "stopping", signal });
      // Requests in flight end first; a workflow that one of them waits for goes on without us anyway.
      server.close(
        () => void Promise.allSettled([directory.close(), connection.close()]).finally(() => process.exit(0)),
      );
    });
  }
});
