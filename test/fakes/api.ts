import type { OpenedRepl, StartInput } from "../../activities/inputs.ts";
import { announceChanges } from "../../activities/announce-changes.ts";
import { createApp, type AppOptions } from "../../api/app.ts";
import { createMetrics } from "../../api/metrics.ts";
import { createRateLimits } from "../../api/rate-limits.ts";
import { createReplReader } from "../../api/repl-reader.ts";
import type { ReplWorkflows, Started } from "../../api/repl-workflows.ts";
import { createRevocations } from "../../api/revocations.ts";
import { createRunnerTokens } from "../../config/runner-tokens.ts";
import { createSessions } from "../../api/sessions.ts";
import { createTickets } from "../../api/tickets.ts";
import type { Checks } from "../../api/routes/health.ts";
import { createLogger } from "../../config/logger.ts";
import { createObjectStoreRegistry } from "../../domain/object-store-registry.ts";
import { createReadTruth } from "../../domain/truth.ts";
import { createAnswerCheck } from "./documented-answers.ts";
import { createFakeCluster } from "./cluster.ts";
import { createFakeObjectStore } from "./object-store.ts";
import { nodeTemplate, testSettings } from "./records.ts";
import { createFakeReplDirectory } from "./repl-directory.ts";
import { createFakeReplEvents } from "./repl-events.ts";
import { createFakeTokenCache } from "./token-cache.ts";

export const frontendUrl = "http://front.example";
export const limits = { maxRepls: 2, maxActive: 2 };
const save = { generation: 3, version: "v", files: 1, bytes: 2, savedAt: "2026-01-01T00:00:00.000Z" };
const standardSecrets = ["a secret for tests that is long enough"];

export interface FakeApiOptions extends Partial<Omit<AppOptions, "checks">> {
  /** What each command fails with. */
  readonly failure?: Error;
  readonly secrets?: readonly string[];
  readonly perUser?: number;
  readonly perAddress?: number;
  /** Goes on where another API left off. */
  readonly stores?: ReturnType<typeof createStores>;
  readonly checks?: Partial<Checks>;
}

function createStores() {
  const { store } = createFakeObjectStore();
  const { cluster } = createFakeCluster();
  const registry = createObjectStoreRegistry(store);
  const readTruth = createReadTruth(registry, cluster, testSettings.runnerUrl);
  const tokens = createFakeTokenCache();
  const lookUps = createFakeReplDirectory(readTruth);
  const events = createFakeReplEvents();
  const directory = announceChanges(lookUps.directory, events.events);
  return { store, registry, readTruth, tokens, lookUps, events, directory };
}

/** The API with look-ups and registry in memory; workflows do what their names say at once, or fail as told. */
export async function startApi({
  failure,
  secrets = standardSecrets,
  perUser = 1_000_000,
  perAddress = 1_000_000,
  stores = createStores(),
  checks,
  ...options
}: FakeApiOptions = {}) {
  const { store, registry, readTruth, tokens, lookUps, events, directory } = stores;
  const commands: string[] = [];
  const begin = (name: string) => {
    commands.push(name);
    if (failure) throw failure;
  };
  const opened = (input: StartInput): Started<OpenedRepl> => ({
    accepted: async () => {},
    result: async () => {
      const url = `http://run/${input.repl.id}/`;
      await directory.publish(input.session, url, input.repl, { epoch: "", isCreating: true }, limits);
      return { replId: input.repl.id, replName: input.repl.name, url, sessionId: input.session.id };
    },
  });
  const workflows: ReplWorkflows = {
    async create(input) {
      begin("create");
      await directory.reserve(input.repl, input.session, limits, "creating");
      await registry.create(input.repl);
      return opened(input);
    },
    async open(input) {
      begin("open");
      await directory.reserve(input.repl, input.session, limits, "starting");
      return opened(input);
    },
    async close(input) {
      begin("close");
      const session = await directory.activeSession(input.owner.id, input.replId);
      if (session) await directory.withdraw({ id: session.id, replId: input.replId, userId: input.owner.id }, {});
      return { replId: input.replId, save };
    },
    async remove(input) {
      begin("remove");
      await registry.remove(input.owner.id, input.replId);
      await directory.forget(input.owner.id, input.replId);
    },
    async restore(input) {
      begin("restore");
      return { replId: input.replId, save };
    },
    async check() {},
  };
  const ok = async () => {};
  const runnerTokens = createRunnerTokens(secrets);
  const app = createApp({
    reader: createReplReader({ directory, registry, readTruth }),
    directory,
    store,
    registry,
    workflows,
    events: events.events,
    templates: [nodeTemplate],
    quota: { repls: 10, active: 2 },
    tickets: await createTickets(secrets, 3600),
    sessions: createSessions(secrets, createRevocations(store, tokens.cache)),
    runnerTokens,
    limits: createRateLimits({ perUser, perAddress, trustedProxies: 0 }),
    checks: { k8s: ok, s3: ok, redis: ok, temporal: ok, ...checks },
    metrics: createMetrics({ eventListeners: events.listeners }),
    logger: createLogger("test", "silent"),
    logRequest: () => {},
    stopping: new AbortController().signal,
    frontendUrl,
    allowedOrigins: [frontendUrl, "http://api.example"],
    isProduction: false,
    release: "1.2.3+test",
    ...options,
  });
  const checkAnswer = createAnswerCheck(await (await app.request("/openapi.json")).json());
  /** Asks the API; whatever it answers must be as the OpenAPI document says. */
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await app.request(path, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    await checkAnswer(method, path, response);
    return response;
  }
  async function person(login: string) {
    const { token, user } = (await (await call("POST", "/auth/dev", { login })).json()) as {
      token: string;
      user: { id: number };
    };
    const as = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
      call(method, path, body, { authorization: `Bearer ${token}`, ...headers });
    const create = async (name = "x") =>
      (await (await as("POST", "/api/repl/create", { template: "node", name })).json()) as { id: string; url: string };
    return { as, create, token, owner: { id: String(user.id), login } };
  }
  const flush = () => {
    lookUps.flush();
    tokens.flush();
    events.flush();
  };
  return { app, call, person, commands, directory, store, registry, stores, events, runnerTokens, flush };
}
