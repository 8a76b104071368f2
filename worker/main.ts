import { NativeConnection } from "@temporalio/worker";
import { announceChanges } from "../activities/announce-changes.ts";
import { createActivities } from "../activities/index.ts";
import { createKubernetesCluster } from "../adapters/kubernetes-cluster.ts";
import { connectToRedis } from "../adapters/redis-connection.ts";
import { createRedisReplDirectory } from "../adapters/redis-repl-directory.ts";
import { createRedisReplEvents } from "../adapters/redis-repl-events.ts";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { createStaticCredentials } from "../adapters/static-credentials.ts";
import { createStsCredentials } from "../adapters/sts-credentials.ts";
import { probeAccessPath } from "../adapters/access-path.ts";
import { loadConfig, sessionSecrets } from "../config/config.ts";
import { createLogger } from "../config/logger.ts";
import { createRunnerTokens } from "../config/runner-tokens.ts";
import { clusterSettings, objectStoreOptions, stsOptions } from "../config/settings.ts";
import { runMain, untilAvailable } from "../config/start-up.ts";
import { loadTemplates } from "../config/templates.ts";
import { createReadTruth } from "../domain/truth.ts";
import { createWorker } from "./create-worker.ts";
import { ensureSchedules } from "./schedules.ts";
import { publishTemplate } from "./publish-templates.ts";
import { watchSessions } from "./watch-sessions.ts";
import { installTemporalLogger } from "./temporal-logger.ts";

await runMain(async () => {
  const config = loadConfig(process.env);
  const logger = createLogger("worker", config.LOG_LEVEL);
  installTemporalLogger(logger);
  // Temporal's runtime listens for these and stops workers; before there is one, nothing would end us.
  let hasWorker = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      if (!hasWorker) process.exit(0);
    });
  }

  const store = createS3ObjectStore(objectStoreOptions(config));
  const cluster = createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: config.REPL_NAMESPACE });
  const redis = connectToRedis(config.REDIS_URL);
  const events = createRedisReplEvents(redis);
  const readTruth = createReadTruth(store, cluster, config.RUNNER_URL);
  const lookUps = createRedisReplDirectory(redis, { sessionTtlSeconds: config.MAX_LIFETIME, readTruth });
  const directory = announceChanges(lookUps, events);

  await untilAvailable(logger, "object store", () => store.prepare());
  for (const template of loadTemplates(config.TEMPLATES_FOLDER)) {
    const outcome = await untilAvailable(logger, `publish template ${template.name}`, () =>
      publishTemplate(store, template),
    );
    logger.info({ event: "template", template: template.name, digest: template.digest, outcome });
  }
  await untilAvailable(logger, "cluster", () => cluster.check());
  await untilAvailable(logger, "session directory", () => directory.check());
  const connection = await untilAvailable(logger, "Temporal", () =>
    NativeConnection.connect({ address: config.TEMPORAL_ADDRESS }),
  );

  const sts = stsOptions(config);
  if (!sts)
    logger.warn(
      { event: "credentials", mode: "static" },
      "sync containers use the object store's own keys: set STS_ROLE_ARN, STS_ISSUER and STS_SIGNING_KEY",
    );
  const activities = createActivities({
    store,
    cluster,
    directory,
    events,
    credentials: sts
      ? createStsCredentials(sts)
      : createStaticCredentials({ accessKey: config.S3_ACCESS_KEY, secretKey: config.S3_SECRET_KEY }),
    runnerTokenFor: createRunnerTokens(sessionSecrets(config)).issue,
    settings: clusterSettings(config),
    lifetimes: { idleSeconds: config.IDLE_TIMEOUT, maximumSeconds: config.MAX_LIFETIME },
    limits: { maxRepls: config.MAX_REPLS_PER_USER, maxActive: config.MAX_ACTIVE_PER_USER },
    probe: probeAccessPath,
  });
  await untilAvailable(logger, "schedules", () => ensureSchedules(config));
  const worker = await createWorker({ connection, namespace: config.TEMPORAL_NAMESPACE, activities, logger, events });
  hasWorker = true;
  logger.info({ event: "worker ready", temporal: config.TEMPORAL_ADDRESS }, "worker ready");
  const watching = new AbortController();
  const watched = watchSessions(
    { cluster, store, directory, events, logger, runnerUrl: config.RUNNER_URL },
    watching.signal,
  ).catch((error: unknown) => logger.error({ event: "watch", err: error }, "sessions are not watched any more"));
  await worker.run();
  watching.abort();
  await watched;
  await connection.close();
  redis.disconnect();
});
