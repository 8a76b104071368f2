import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { isRedisUrl } from "../domain/redis-url.ts";

const developmentSecret = "devex-development-secret-never-for-production";
const second = 1;
const hour = 3600 * second;

const url = z.url({ protocol: /^https?$/ }).transform((value) => value.replace(/\/+$/, ""));
const list = z.string().transform((value) =>
  value
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean),
);
const network = /^\d{1,3}(?:\.\d{1,3}){3}\/\d{1,2}$/;
const flag = (standard: "true" | "false") =>
  z
    .enum(["true", "false"])
    .default(standard)
    .transform((value) => value === "true");
const pem = (what: string) => z.string().includes(what, `give a ${what.toLowerCase()} as PEM`).optional();
const seconds = (minimum: number, maximum: number, standard: number) =>
  z.coerce.number().int().min(minimum).max(maximum).default(standard);

/** Every setting with its bounds and default; the README's table says the same in words. */
const schema = z.object({
  NODE_ENV: z.enum(["development", "test", "production"]).default("development"),
  /** Addresses to listen on, separated by commas. */
  HOST: list.default(["127.0.0.1"]),
  PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  /** Of a front end elsewhere; the page that this API serves when absent. */
  FRONTEND_URL: url.optional(),
  RUNNER_URL: url,
  /** All names below it lead to the ingress; previews of a template's ports get hosts of their own there. */
  PREVIEW_DOMAIN: z
    .string()
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, "must be a domain in small letters, such as previews.example.com")
    .optional(),
  COOKIE_DOMAIN: z.string().optional(),
  SESSION_SECRET: z
    .string()
    .min(32, "use at least 32 characters, for example from: openssl rand -hex 32")
    .default(developmentSecret),
  /** The secret before the current one: sessions and tickets that it signed stay good while it is set. */
  SESSION_SECRET_PREVIOUS: z.string().min(32).optional(),
  GITHUB_ID: z.string().optional(),
  GITHUB_SECRET: z.string().optional(),
  GITHUB_URL: url.default("https://github.com"),
  /** Derived from GITHUB_URL when absent. */
  GITHUB_API_URL: url.optional(),
  /** Where browsers reach this API; GitHub is asked to send people back there. */
  API_URL: url.optional(),
  /** Where the pods reach this API; without it runners report nothing. */
  RUNNER_API_URL: url.optional(),
  RATE_LIMIT_PER_USER: z.coerce.number().int().min(1).max(1_000_000_000).default(600),
  RATE_LIMIT_PER_ADDRESS: z.coerce.number().int().min(1).max(1_000_000_000).default(60),
  TRUSTED_PROXIES: z.coerce.number().int().min(0).max(10).default(0),
  TEMPORAL_ADDRESS: z.string().default("127.0.0.1:7233"),
  TEMPORAL_NAMESPACE: z.string().default("default"),
  /** Of Temporal Cloud or a server behind a gateway; it is sent over TLS only. */
  TEMPORAL_API_KEY: z.string().min(1).optional(),
  TEMPORAL_TLS: flag("false"),
  /** PEM: the authority of the server's certificate, and our own certificate with its key. */
  TEMPORAL_TLS_CA: pem("CERTIFICATE"),
  TEMPORAL_TLS_CERT: pem("CERTIFICATE"),
  TEMPORAL_TLS_KEY: pem("PRIVATE KEY"),
  /** Which release of the code a worker runs; its commit, as the images and `npm start` set it. */
  BUILD_ID: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,60}$/, "use letters, digits, dots, dashes and underscores")
    .default("development"),
  /** The workflows made into one file, as the images hold it; made from the sources at the start when absent. */
  WORKFLOW_BUNDLE: z.string().optional(),
  /** Where a worker answers /livez, /readyz and /metrics, on the addresses of HOST; nowhere when absent. */
  METRICS_PORT: z.coerce.number().int().min(1).max(65_535).optional(),
  /** An OpenTelemetry collector that takes OTLP by HTTP; nothing is traced when absent. */
  OTEL_EXPORTER_OTLP_ENDPOINT: url.optional(),
  /** How long a worker of an old release goes on for the workflows it began, after it was told to end. */
  DRAIN_SECONDS: seconds(0, 24 * hour, hour / 6),
  /** Activities that one worker runs at once, and those that all workers begin in a second. */
  MAX_ACTIVITIES: z.coerce.number().int().min(1).max(1000).default(100),
  MAX_ACTIVITIES_PER_SECOND: z.coerce.number().min(1).max(10_000).default(100),
  REDIS_URL: z
    .string()
    .refine(
      isRedisUrl,
      "use redis://HOST:PORT, rediss:// for TLS, redis-sentinel://HOST:PORT,HOST:PORT/MASTER, or redis-cluster://HOST:PORT,HOST:PORT",
    )
    .default("redis://127.0.0.1:6379"),
  S3_ENDPOINT: url.optional(),
  S3_REGION: z.string().default("us-east-1"),
  S3_BUCKET: z.string().min(3).default("devex"),
  /** Whether a worker makes the bucket where there is none, and takes an empty one for a new one. */
  S3_CREATE_BUCKET: flag("true"),
  /** Absent where the machine has a role that may use the bucket, and sessions get keys of their own. */
  S3_ACCESS_KEY: z.string().optional(),
  S3_SECRET_KEY: z.string().optional(),
  /** With these three, sessions get short-lived keys of their own. */
  STS_ROLE_ARN: z.string().optional(),
  STS_ISSUER: z
    .url({ protocol: /^https$/ })
    .transform((value) => value.replace(/\/+$/, ""))
    .optional(),
  STS_SIGNING_KEY: z.string().includes("PRIVATE KEY", "give an RSA private key as PEM").optional(),
  /** AWS's own when absent. */
  STS_ENDPOINT: url.optional(),
  STS_AUDIENCE: z.string().default("sts.amazonaws.com"),
  STS_DURATION: seconds(900, 12 * hour, 12 * hour),
  /** The registry of REPLs; it is in the bucket when absent. */
  DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: "use postgres://USER:PASSWORD@HOST:PORT/DATABASE" })
    .optional(),
  KUBECONFIG: z.string().optional(),
  REPL_NAMESPACE: z.string().default("devex-repls"),
  INGRESS_CLASS: z.string().default("traefik"),
  RUNTIME_CLASS: z.string().optional(),
  /** `none` where somebody else decides who may speak with the pods of REPLs. */
  NETWORK_POLICY: z.enum(["managed", "none"]).default("managed"),
  /** Of the ingress controller: the only one whose pods reach those of REPLs. */
  INGRESS_NAMESPACE: z.string().default("traefik"),
  /** Name servers of the pods that are not pods of kube-system, such as a NodeLocal DNSCache: networks, separated by commas. */
  POD_DNS: list
    .default([])
    .refine((parts) => parts.every((part) => network.test(part)), "write networks such as 169.254.20.10/32"),
  /** Private networks that pods of REPLs reach, as `cidr` or `cidr:port`, separated by commas. */
  POD_EGRESS: list.default([]).transform((parts, context) =>
    parts.map((part) => {
      const [, cidr = "", port] = /^([^:]*)(?::(\d{1,5}))?$/.exec(part) ?? [];
      if (!network.test(cidr))
        context.addIssue(`"${part}" is no network: write 10.1.2.0/24, or 10.1.2.3/32:9000 for one port`);
      return { cidr, ...(port ? { port: Number(port) } : {}) };
    }),
  ),
  RUNNER_IMAGE: z.string().default("devex/runner:latest"),
  SYNC_IMAGE: z.string().default("devex/sync:latest"),
  /** Where the built page lies. */
  WEB_FOLDER: z.string().default(fileURLToPath(new URL("../dist", import.meta.url))),
  /** Another folder of templates; the project's own when absent. */
  TEMPLATES_FOLDER: z.string().optional(),
  CHECKPOINT_SECONDS: seconds(1, 30, 10),
  /** Without a connection, preview traffic or terminal output. */
  IDLE_TIMEOUT: seconds(60, 30 * 24 * hour, hour / 2),
  /** How often sessions are compared with what should run. */
  RECONCILE_SECONDS: seconds(10, hour, 60),
  MAX_LIFETIME: seconds(60, 30 * 24 * hour, 12 * hour),
  MAX_REPLS_PER_USER: z.coerce.number().int().min(1).max(10_000).default(10),
  MAX_ACTIVE_PER_USER: z.coerce.number().int().min(1).max(1000).default(2),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
});

/** Names of all variables. */
export const configVariables = Object.keys(schema.shape);

export type Config = Readonly<z.infer<typeof schema>> & {
  readonly FRONTEND_URL: string;
  readonly isProduction: boolean;
};

/** Thrown for a configuration that cannot be used; its message names everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/**
 * Reads and checks the whole configuration. Each variable may come from a file instead, named by
 * `<NAME>_FILE`. Throws a ConfigError that lists every problem at once.
 */
export function loadConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const values: Record<string, string> = {};
  for (const name of configVariables) {
    const file = environment[`${name}_FILE`];
    const value = environment[name];
    if (file) {
      try {
        values[name] = readFileSync(file, "utf8").trim();
      } catch {
        problems.push(`${name}_FILE: cannot read ${file}`);
      }
    } else if (value !== undefined && value !== "") values[name] = value;
  }
  const parsed = schema.safeParse(values);
  for (const issue of parsed.error?.issues ?? []) {
    const name = issue.path.join(".");
    problems.push(`${name}: ${name in values ? issue.message : "is missing"}`);
  }
  if (parsed.data?.NODE_ENV === "production") {
    if (parsed.data.SESSION_SECRET === developmentSecret)
      problems.push(
        "SESSION_SECRET: is missing; production needs one of its own, for example from: openssl rand -hex 32",
      );
  }
  if ((parsed.data?.GITHUB_ID === undefined) !== (parsed.data?.GITHUB_SECRET === undefined))
    problems.push("GITHUB_ID and GITHUB_SECRET: set both or neither");
  if ((parsed.data?.TEMPORAL_TLS_CERT === undefined) !== (parsed.data?.TEMPORAL_TLS_KEY === undefined))
    problems.push("TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY: set both or neither");
  if (parsed.data?.DATABASE_URL && !parsed.data.RUNNER_API_URL)
    problems.push("RUNNER_API_URL: is missing; with DATABASE_URL the pods tell the API of each save");
  const sts = ["STS_ROLE_ARN", "STS_ISSUER", "STS_SIGNING_KEY"] as const;
  const given = sts.filter((name) => parsed.data?.[name] !== undefined).length;
  const keys = ["S3_ACCESS_KEY", "S3_SECRET_KEY"] as const;
  const missing = keys.filter((name) => !(name in values));
  // Sessions without keys of their own get these.
  if (missing.length === 1 || !sts.some((name) => name in values))
    problems.push(...missing.map((name) => `${name}: is missing`));
  if (parsed.data && given !== 0 && given !== sts.length) problems.push(`${sts.join(", ")}: set all of them or none`);
  if (problems.length > 0 || !parsed.data)
    throw new ConfigError(`The configuration cannot be used:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
  const { data } = parsed;
  return Object.freeze({
    ...data,
    FRONTEND_URL: data.FRONTEND_URL ?? data.API_URL ?? `http://localhost:${data.PORT}`,
    isProduction: data.NODE_ENV === "production",
  });
}

/** The secrets that sessions are checked with; the first one signs. */
export function sessionSecrets(config: Config): string[] {
  return config.SESSION_SECRET_PREVIOUS
    ? [config.SESSION_SECRET, config.SESSION_SECRET_PREVIOUS]
    : [config.SESSION_SECRET];
}
