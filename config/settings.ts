import { isIPv4 } from "node:net";
import type { ClusterSettings } from "../manifests/settings.ts";
import { ConfigError, type Config } from "./config.ts";

/** The slice of the configuration that manifests are made of. */
export function clusterSettings(config: Config): ClusterSettings {
  const origins = new Set(
    [
      config.FRONTEND_URL,
      config.RUNNER_URL,
      ...(config.API_URL ? [config.API_URL] : []),
      ...(config.isProduction ? [] : [`http://localhost:${config.PORT}`]),
    ].map((url) => new URL(url).origin),
  );
  return {
    namespace: config.REPL_NAMESPACE,
    ingressClass: config.INGRESS_CLASS,
    runnerUrl: config.RUNNER_URL,
    previewDomain: config.PREVIEW_DOMAIN,
    runnerImage: config.RUNNER_IMAGE,
    syncImage: config.SYNC_IMAGE,
    runnerApiUrl: config.RUNNER_API_URL,
    savePointer: config.DATABASE_URL ? "api" : "store",
    checkpointSeconds: config.CHECKPOINT_SECONDS,
    runtimeClass: config.RUNTIME_CLASS,
    allowedOrigins: [...origins],
    ingressNamespace: config.INGRESS_NAMESPACE,
    podEgress: [...config.POD_EGRESS, ...addressesIn(config.S3_ENDPOINT, config.RUNNER_API_URL)],
    podDns: config.POD_DNS,
    objectStore: { endpoint: config.S3_ENDPOINT, region: config.S3_REGION, bucket: config.S3_BUCKET },
  };
}

/** Of URLs that name a server by its address, what pods need of the network to reach it. */
function addressesIn(...urls: readonly (string | undefined)[]) {
  return urls.flatMap((text) => {
    const url = text === undefined ? undefined : new URL(text);
    if (!url || !isIPv4(url.hostname)) return [];
    return { cidr: `${url.hostname}/32`, port: Number(url.port || (url.protocol === "https:" ? 443 : 80)) };
  });
}

/** The object store's own keys, which a configuration without STS always has. */
export function storeKeys({ S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey }: Config) {
  if (!accessKey || !secretKey) throw new ConfigError("S3_ACCESS_KEY, S3_SECRET_KEY: are missing");
  return { accessKey, secretKey };
}

/** Where the object store is, and its keys; without them the machine's role opens it. */
export function objectStoreOptions(config: Config) {
  return {
    endpoint: config.S3_ENDPOINT,
    region: config.S3_REGION,
    bucket: config.S3_BUCKET,
    accessKey: config.S3_ACCESS_KEY,
    secretKey: config.S3_SECRET_KEY,
  };
}

/** Where Temporal is and how it knows us. Any of the keys means TLS. */
export function temporalOptions(config: Config) {
  const { TEMPORAL_TLS_CA: ca, TEMPORAL_TLS_CERT: cert, TEMPORAL_TLS_KEY: key, TEMPORAL_API_KEY: apiKey } = config;
  const tls = {
    ...(ca ? { serverRootCACertificate: Buffer.from(ca) } : {}),
    ...(cert && key ? { clientCertPair: { crt: Buffer.from(cert), key: Buffer.from(key) } } : {}),
  };
  const isEncrypted = config.TEMPORAL_TLS || apiKey !== undefined || Object.keys(tls).length > 0;
  return { address: config.TEMPORAL_ADDRESS, ...(isEncrypted ? { tls } : {}), ...(apiKey ? { apiKey } : {}) };
}

/** How to speak to GitHub; undefined when no application of it is configured. */
export function githubOptions(config: Config) {
  const { GITHUB_ID: clientId, GITHUB_SECRET: clientSecret, GITHUB_URL: url } = config;
  if (!clientId || !clientSecret) return undefined;
  // A GitHub Enterprise server serves its API under a path of its own.
  const standard = url === "https://github.com" ? "https://api.github.com" : `${url}/api/v3`;
  return { clientId, clientSecret, url, apiUrl: config.GITHUB_API_URL ?? standard };
}

/** How sessions get short-lived keys; undefined where they get the store's own. */
export function stsOptions(config: Config) {
  const { STS_ROLE_ARN: roleArn, STS_ISSUER: issuer, STS_SIGNING_KEY: signingKey } = config;
  if (!roleArn || !issuer || !signingKey) return undefined;
  return {
    endpoint: config.STS_ENDPOINT ?? `https://sts.${config.S3_REGION}.amazonaws.com`,
    roleArn,
    issuer,
    audience: config.STS_AUDIENCE,
    signingKey,
    bucket: config.S3_BUCKET,
    durationSeconds: config.STS_DURATION,
  };
}
