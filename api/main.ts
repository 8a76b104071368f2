import { serve } from "@hono/node-server";
import { createKubernetesCluster } from "../adapters/kubernetes-cluster.ts";
import { connectToRedis } from "../adapters/redis-connection.ts";
import { createPostgresRegistry } from "../adapters/postgres-registry.ts";
import { createRedisReplDirectory } from "../adapters/redis-repl-directory.ts";
import { createRedisReplEvents } from "../adapters/redis-repl-events.ts";
import { createRedisTokenCache } from "../adapters/redis-token-cache.ts";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { issuerDocuments } from "../adapters/sts-credentials.ts";
import { createTemporalClient } from "../adapters/temporal-client.ts";
import { loadConfig, sessionSecrets } from "../config/config.ts";
import { createLogger, createRequestLog } from "../config/logger.ts";
import { githubOptions, objectStoreOptions, stsOptions, temporalOptions } from "../config/settings.ts";
import { runMain, untilAvailable } from "../config/start-up.ts";
import { startTracing } from "../config/tracing.ts";
import { loadTemplates } from "../config/templates.ts";
import { version } from "../config/version.ts";
import { createObjectStoreRegistry } from "../domain/object-store-registry.ts";
import { registryProblem } from "../domain/registry-home.ts";
import { createReadTruth } from "../domain/truth.ts";
import { createApp } from "./app.ts";
import { createGithub } from "./github.ts";
import { createMetrics } from "./metrics.ts";
import { AnswerWithCommonHeaders } from "./middleware/common-headers.ts";
import { createRateLimits } from "./rate-limits.ts";
import { createReplReader } from "./repl-reader.ts";
import { createReplWorkflows } from "./repl-workflows.ts";
import { createRevocations } from "./revocations.ts";
import { createRunnerTokens } from "../config/runner-tokens.ts";
import { createSessions } from "./sessions.ts";
import { createTickets } from "./tickets.ts";

/** Bigger than any header of ours; whoever sends more is answered 431. */
const maximumHeaderBytes = 16 * 1024;
/** A request that takes longer to arrive is given up: its sender holds a socket and nothing else. */
const receiveTimeoutMs = 30_000;

await runMain(async () => {
  const config = loadConfig(process.env);
  const tracing = await startTracing({
    service: "devex-api",
    version: config.BUILD_ID,
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
  });
  const logger = createLogger("api", config.LOG_LEVEL, tracing.isOn);
  const store = tracing.traced("store", createS3ObjectStore(objectStoreOptions(config)));
  const database = config.DATABASE_URL ? createPostgresRegistry(config.DATABASE_URL) : undefined;
  const registry = tracing.traced("registry", database ?? createObjectStoreRegistry(store));
  const cluster = tracing.traced(
    "cluster",
    createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: config.REPL_NAMESPACE }),
  );
  const redis = connectToRedis(config.REDIS_URL);
  const readTruth = createReadTruth(registry, cluster, config.RUNNER_URL);
  const directory = createRedisReplDirectory(redis, { sessionTtlSeconds: config.MAX_LIFETIME, readTruth });
  const events = createRedisReplEvents(redis);
  const { client, connection } = createTemporalClient(
    temporalOptions(config),
    config.TEMPORAL_NAMESPACE,
    tracing.plugins,
  );
  const workflows = createReplWorkflows(client);
  const secrets = sessionSecrets(config);
  const tokens = createRedisTokenCache(redis);
  const github = githubOptions(config);
  const sts = stsOptions(config);
  const stopping = new AbortController();
  const local = config.isProduction ? [] : [`http://localhost:${config.PORT}`];
  const ownUrls = [config.FRONTEND_URL, ...(config.API_URL ? [config.API_URL] : local)];

  const app = createApp({
    reader: createReplReader({ directory, registry, readTruth }),
    directory,
    store,
    registry,
    workflows,
    events,
    // Workflows need no list of files.
    templates: loadTemplates(config.TEMPLATES_FOLDER).map(({ nodes, ...template }) => template),
    tickets: await createTickets(secrets, config.MAX_LIFETIME),
    sessions: createSessions(secrets, createRevocations(store, tokens)),
    runnerTokens: createRunnerTokens(secrets),
    github: github && createGithub(github),
    limits: createRateLimits({
      perUser: config.RATE_LIMIT_PER_USER,
      perAddress: config.RATE_LIMIT_PER_ADDRESS,
      trustedProxies: config.TRUSTED_PROXIES,
    }),
    quota: { repls: config.MAX_REPLS_PER_USER, active: config.MAX_ACTIVE_PER_USER },
    page: { folder: config.WEB_FOLDER, runnerUrl: config.RUNNER_URL, previewDomain: config.PREVIEW_DOMAIN },
    checks: {
      k8s: () => cluster.check(),
      s3: () => store.check(),
      ...(database ? { postgres: () => database.check() } : {}),
      redis: () => directory.check(),
      temporal: () => workflows.check(),
    },
    issuer: sts && issuerDocuments(sts),
    metrics: createMetrics({ eventListeners: events.listeners }),
    release: `${version}+${config.BUILD_ID}`,
    logger,
    logRequest: createRequestLog("api", config.LOG_LEVEL, tracing.isOn),
    stopping: stopping.signal,
    frontendUrl: config.FRONTEND_URL,
    callbackUrl: config.API_URL && `${config.API_URL}/auth/github/callback`,
    allowedOrigins: ownUrls.map((url) => new URL(url).origin),
    isProduction: config.isProduction,
    cookieDomain: config.COOKIE_DOMAIN,
    previewDomain: config.PREVIEW_DOMAIN,
    isTraced: tracing.isOn,
  });
  // Nothing is served late for it: while the store does not answer, neither does anything that needs it.
  void untilAvailable(logger, "object store", () => registryProblem(store, registry.home)).then((wrong) => {
    if (!wrong) return;
    console.error(wrong);
    process.exit(1);
  });
  if (!config.isProduction)
    logger.warn(
      { event: "development" },
      "anybody may sign in by a name alone: set NODE_ENV=production to refuse that",
    );
  const servers = config.HOST.map((hostname) => {
    const server = serve(
      {
        fetch: app.fetch,
        hostname,
        port: config.PORT,
        serverOptions: {
          ServerResponse: AnswerWithCommonHeaders,
          maxHeaderSize: maximumHeaderBytes,
          requestTimeout: receiveTimeoutMs,
        },
      },
      ({ address, port }) => {
        logger.info(
          { event: "api ready", address, port, version, release: config.BUILD_ID },
          `API ready on http://${address}:${port}`,
        );
      },
    );
    server.on("error", (error: NodeJS.ErrnoException) => {
      console.error(
        error.code === "EADDRINUSE" ? `Port ${config.PORT} is taken. Set PORT to another one.` : error.message,
      );
      process.exit(1);
    });
    return server;
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      logger.info({ event: "stopping", signal });
      stopping.abort();
      // Requests in flight end first; a workflow that one of them waits for goes on without us anyway.
      void Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve)))).then(() => {
        events.close();
        tokens.close();
        redis.disconnect();
        void Promise.allSettled([connection.close(), database?.close(), tracing.stop()]).finally(() => process.exit(0));
      });
    });
  }
});
