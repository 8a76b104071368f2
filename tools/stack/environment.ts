import { kubeconfigFile } from "./certificates.ts";
import { ingressClass, replNamespace } from "./cluster.ts";
import { identityEnvironment } from "./identity.ts";
import { portOf, readSettings, type StackSettings } from "./settings.ts";

export const bucket = "devex";

/** Which parts the user brought by setting the variable that names them. */
export interface OwnServers {
  readonly redis: boolean;
  readonly s3: boolean;
  readonly temporal: boolean;
  readonly cluster: boolean;
}

export function ownServers(env: Record<string, string | undefined>): OwnServers {
  return {
    redis: Boolean(env["REDIS_URL"]),
    s3: Boolean(env["S3_ENDPOINT"]),
    temporal: Boolean(env["TEMPORAL_ADDRESS"]),
    cluster: Boolean(env["KUBECONFIG"]),
  };
}

const ownNames = {
  redis: ["REDIS_URL"],
  s3: [
    "S3_ENDPOINT",
    "S3_REGION",
    "S3_BUCKET",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
    "STS_ROLE_ARN",
    "STS_ISSUER",
    "STS_SIGNING_KEY",
    "STS_SIGNING_KEY_FILE",
    "STS_ENDPOINT",
    "STS_AUDIENCE",
    "STS_DURATION",
  ],
  temporal: ["TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_UI_URL"],
  cluster: ["KUBECONFIG", "REPL_NAMESPACE", "INGRESS_CLASS", "RUNNER_URL", "PREVIEW_DOMAIN", "POD_DNS"],
} as const satisfies Record<keyof OwnServers, readonly string[]>;

/** Every address and key that a client of the stack needs; what the user brought stays as they set it. */
export function stackEnvironment(
  stack: StackSettings,
  images: { runner: string; sync: string } | undefined,
  env: Record<string, string | undefined> = process.env,
): Record<string, string> {
  const variables: Record<string, string> = {
    TEMPORAL_ADDRESS: `127.0.0.1:${portOf(stack, "temporal")}`,
    TEMPORAL_NAMESPACE: "default",
    TEMPORAL_UI_URL: `http://localhost:${portOf(stack, "temporalUi")}`,
    REDIS_URL: `redis://127.0.0.1:${portOf(stack, "redis")}`,
    S3_ENDPOINT: `http://${stack.gateway}:${portOf(stack, "s3")}`,
    S3_REGION: "us-east-1",
    S3_BUCKET: bucket,
    S3_ACCESS_KEY: stack.s3AccessKey,
    S3_SECRET_KEY: stack.s3SecretKey,
    ...identityEnvironment(stack),
    KUBECONFIG: kubeconfigFile(stack),
    REPL_NAMESPACE: replNamespace,
    INGRESS_CLASS: ingressClass,
    POD_DNS: `${stack.gateway}/32`,
    RUNNER_URL: `http://localhost:${portOf(stack, "ingress")}`,
    // Browsers take every name below it for this machine.
    PREVIEW_DOMAIN: "localhost",
    ...(images ? { RUNNER_IMAGE: images.runner, SYNC_IMAGE: images.sync } : {}),
  };
  const own = ownServers(env);
  for (const part of Object.keys(ownNames) as (keyof OwnServers)[]) {
    for (const name of own[part] ? ownNames[part] : []) {
      delete variables[name];
      const value = env[name];
      if (value !== undefined) variables[name] = value;
    }
  }
  return variables;
}

/** The environment as it is, with the local stack's servers where it names none. For tools of operators. */
export function environmentOfStack(env: Record<string, string | undefined>): Record<string, string | undefined> {
  const stack = readSettings(env["DEVEX_STACK"] ?? "dev");
  if (!stack) return env;
  return { ...apiAddresses(stack, env["PORT"] ?? 8080), ...env, ...stackEnvironment(stack, undefined, env) };
}

/** Where an API listens so that the stack's pods reach it too: on loopback, and on the bridge they hang on. */
export function apiAddresses(stack: StackSettings, port: string | number): Record<string, string> {
  if (ownServers(process.env).cluster) return { PORT: String(port) };
  return { HOST: `127.0.0.1,${stack.gateway}`, PORT: String(port), RUNNER_API_URL: `http://${stack.gateway}:${port}` };
}
