import { Client } from "@temporalio/client";
import { NativeConnection } from "@temporalio/worker";
import { announceChanges } from "../activities/announce-changes.ts";
import { createActivities } from "../activities/index.ts";
import { fenced } from "../activities/lease.ts";
import { createKubernetesCluster } from "../adapters/kubernetes-cluster.ts";
import { connectToRedis } from "../adapters/redis-connection.ts";
import { createRedisReplDirectory } from "../adapters/redis-repl-directory.ts";
import { createPostgresRegistry } from "../adapters/postgres-registry.ts";
import { createRedisReplEvents } from "../adapters/redis-repl-events.ts";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { createS3Uploads } from "../adapters/s3-uploads.ts";
import { createStaticCredentials } from "../adapters/static-credentials.ts";
import { createStsCredentials } from "../adapters/sts-credentials.ts";
import { probeAccessPath } from "../adapters/access-path.ts";
import { ConfigError, loadConfig, sessionSecrets } from "../config/config.ts";
import { createLogger } from "../config/logger.ts";
import { createRunnerTokens } from "../config/runner-tokens.ts";
import { clusterSettings, objectStoreOptions, storeKeys, stsOptions, temporalOptions } from "../config/settings.ts";
import { runMain, untilAvailable } from "../config/start-up.ts";
import { startTracing } from "../config/tracing.ts";
import { loadTemplates } from "../config/templates.ts";
import { version } from "../config/version.ts";
import { createObjectStoreRegistry } from "../domain/object-store-registry.ts";
import { openBucket } from "../domain/open-bucket.ts";
import { createReadTruth } from "../domain/truth.ts";
import { imageOf } from "../manifests/deployment.ts";
import { networkPolicyManifests } from "../manifests/network-policies.ts";
import { createWorker } from "./create-worker.ts";
import { ensureSchedules } from "./schedules.ts";
import { publishTemplate } from "./publish-templates.ts";
import { createReleases } from "./releases.ts";
import { watchSessions } from "./watch-sessions.ts";
import { createWorkerMetrics } from "./metrics.ts";
import { startStatusServer } from "./status-server.ts";
import { installTemporalRuntime } from "./temporal-runtime.ts";

await runMain(async () => {
  const config = loadConfig(process.env);
  const tracing = await startTracing({
    service: "devex-worker",
    version: config.BUILD_ID,
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
  });
  const logger = createLogger("worker", config.LOG_LEVEL, tracing.isOn);
  // What the SDK counts is read on loopback and told with our own.
  const sdkAddress = config.METRICS_PORT ? `127.0.0.1:${config.METRICS_PORT + 1}` : undefined;
  installTemporalRuntime(logger, sdkAddress);
  const metrics = createWorkerMetrics(async () =>
    sdkAddress ? (await fetch(`http://${sdkAddress}/metrics`)).text() : "",
  );
  let isReady = (): boolean => false;
  const closeStatus =
    config.METRICS_PORT &&
    (await startStatusServer({ hosts: config.HOST, port: config.METRICS_PORT, metrics, isReady: () => isReady() }));
  // The first signal ends the worker when it may end, the second one at once; before there is a worker it ends us.
  let stop = (): void => process.exit(0);
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop());

  // Also of the calls that a port makes of several: outside of an activity nothing is held back.
  const store = fenced(tracing.traced("store", createS3ObjectStore(objectStoreOptions(config))));
  const database = config.DATABASE_URL ? createPostgresRegistry(config.DATABASE_URL) : undefined;
  const registry = tracing.traced("registry", database ?? createObjectStoreRegistry(store));
  const cluster = tracing.traced(
    "cluster",
    createKubernetesCluster({ kubeconfig: config.KUBECONFIG, namespace: config.REPL_NAMESPACE, guard: fenced }),
  );
  const redis = connectToRedis(config.REDIS_URL);
  const events = createRedisReplEvents(redis);
  const readTruth = createReadTruth(registry, cluster, config.RUNNER_URL);
  const lookUps = createRedisReplDirectory(redis, { sessionTtlSeconds: config.MAX_LIFETIME, readTruth });
  const directory = announceChanges(lookUps, events);

  const { sessions } = await untilAvailable(logger, "cluster", () => cluster.pageOfSessions());
  if (database) await untilAvailable(logger, "database", () => database.migrate());
  const names = database ? await untilAvailable(logger, "database", () => database.names()) : [];
  const beginning = {
    hasSessions: sessions.length > 0,
    hasRecords: names.length > 0,
    mayBegin: config.S3_CREATE_BUCKET,
  };
  const problem = await untilAvailable(logger, "object store", () => openBucket(store, registry.home, beginning));
  if (problem) throw new ConfigError(problem);
  const settings = clusterSettings(config);
  for (const template of loadTemplates(config.TEMPLATES_FOLDER)) {
    const image = imageOf(template, settings);
    const outcome = await untilAvailable(logger, `publish template ${template.name}`, () =>
      publishTemplate(store, template),
    );
    logger.info({ event: "template", template: template.name, digest: template.digest, image, outcome });
  }
  await untilAvailable(logger, "cluster", () => cluster.check());
  if (config.NETWORK_POLICY === "managed")
    await untilAvailable(logger, "network policies", () => cluster.apply(networkPolicyManifests(settings)));
  await untilAvailable(logger, "session directory", () => directory.check());
  const connection = await untilAvailable(logger, "Temporal", () => NativeConnection.connect(temporalOptions(config)));

  const sts = stsOptions(config);
  if (!sts)
    logger.warn(
      { event: "credentials", mode: "static" },
      "sync containers use the object store's own keys: set STS_ROLE_ARN, STS_ISSUER and STS_SIGNING_KEY",
    );
  const activities = createActivities({
    store,
    uploads: createS3Uploads(objectStoreOptions(config)),
    registry,
    cluster,
    directory,
    events,
    credentials: sts ? createStsCredentials(sts) : createStaticCredentials(storeKeys(config)),
    runnerTokenFor: createRunnerTokens(sessionSecrets(config)).issue,
    settings,
    lifetimes: { idleSeconds: config.IDLE_TIMEOUT, maximumSeconds: config.MAX_LIFETIME },
    limits: { maxRepls: config.MAX_REPLS_PER_USER, maxActive: config.MAX_ACTIVE_PER_USER },
    probe: probeAccessPath,
  });
  await untilAvailable(logger, "schedules", () => ensureSchedules(config));
  const { plugins } = tracing;
  const worker = await createWorker({ connection, config, activities, logger, events, metrics, plugins });
  isReady = () => worker.getState() === "RUNNING";
  const client = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE });
  const releases = createReleases({ client, buildId: config.BUILD_ID, logger });
  const ended = new AbortController();
  stop = () => {
    const atOnce = new AbortController();
    stop = () => atOnce.abort();
    const longEnough = AbortSignal.any([atOnce.signal, AbortSignal.timeout(config.DRAIN_SECONDS * 1000)]);
    void releases
      .untilDrained(longEnough)
      .catch((error: unknown) => logger.warn({ event: "release", err: error }, "what is left is not known"))
      .then(() => worker.shutdown());
  };
  const release = { version, release: config.BUILD_ID };
  logger.info({ event: "worker ready", temporal: config.TEMPORAL_ADDRESS, ...release }, "worker ready");
  const besides = Promise.all([
    releases.lookAfter(ended.signal),
    watchSessions({ cluster, registry, directory, events, logger, runnerUrl: config.RUNNER_URL }, ended.signal).catch(
      (error: unknown) => logger.error({ event: "watch", err: error }, "sessions are not watched any more"),
    ),
  ]);
  await worker.run();
  ended.abort();
  if (closeStatus) closeStatus();
  await besides;
  await connection.close();
  redis.disconnect();
  await database?.close();
  await tracing.stop();
});
