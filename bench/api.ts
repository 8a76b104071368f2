import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { createS3ObjectStore } from "../adapters/s3-object-store.ts";
import { loadConfig } from "../config/config.ts";
import { objectStoreOptions } from "../config/settings.ts";
import { createObjectStoreRecords } from "../domain/object-store-registry.ts";
import { endPrograms, startProgram as start } from "../tools/programs.ts";
import { answers } from "./programs.ts";
import { freePort } from "../tools/free-port.ts";
import { signIn, type Person } from "../tools/api-client.ts";
import { load as loadWith, type Load, type LoadOptions } from "./load.ts";
import { ratio, rowPrinter, type BenchOptions, type Row } from "./rows.ts";

/** For the memory: enough for a leak of a few bytes a request to be seen. */
const manyRequests = 500_000;
/** An odd number, so that one is in the middle. */
const turns = 7;

/** The look-ups of one API process under load from another process, beside what Hono alone does in the same run. */
export async function benchApi({ environment, rounds }: BenchOptions, print: (row: Row) => void): Promise<void> {
  const [port, floorPort] = [await freePort(), await freePort()];
  const limits = { RATE_LIMIT_PER_USER: "1000000000", RATE_LIMIT_PER_ADDRESS: "1000000000", LOG_LEVEL: "info" };
  const env = { ...process.env, ...environment, ...limits };
  const programs = [
    start("api/main.ts", { ...env, PORT: String(port) }),
    start("bench/api-floor.ts", { ...env, PORT: String(floorPort) }),
    // Creates end only where somebody works on them.
    start("worker/main.ts", env),
  ];
  try {
    const api = `http://127.0.0.1:${port}`;
    const floor = `http://127.0.0.1:${floorPort}`;
    await Promise.all([answers(`${api}/readyz`), answers(`${floor}/constant`)]);
    const [few, many] = [await personWith(api, environment, 2), await personWith(api, environment, 100)];

    print({ case: "floor: Hono answers a constant", ...(await load(`${floor}/constant`)) });
    print({ case: "floor: the same after one round trip to Redis", ...(await load(`${floor}/round-trip`)) });
    print({ case: "the same, sent as the API sends", ...(await load(`${floor}/round-trip-by-turns`)) });
    for (const [name, path, person] of [
      ["list of 2", "/api/repl", few],
      ["list of 100", "/api/repl", many],
      ["get", `/api/repl/${few.ids[0]}`, few],
    ] as const) {
      const bytes = await lengthOf(api + path, person.api.token);
      const { roundTrip, sameLength, full } = await inTurns({
        roundTrip: () => load(`${floor}/round-trip`),
        sameLength: () => load(`${floor}/round-trip/${bytes}`),
        full: () => load(api + path, person.api.token),
      });
      print({ case: `floor of ${name}: one round trip to Redis`, ...roundTrip });
      print({ case: `floor of ${name}: the same, and as many bytes (${bytes})`, ...sameLength });
      const ratioToFloor = ratio(roundTrip.requestsPerSecond, full.requestsPerSecond);
      const ratioToSameLength = ratio(sameLength.requestsPerSecond, full.requestsPerSecond);
      print({ case: name, ...full, ratioToFloor, ratioToSameLength });
      const half = await load(api + path, person.api.token, { rate: Math.round(full.requestsPerSecond / 2) });
      print({ case: `${name}, at half of that load`, ...half });
    }

    await afterFlush(environment, many.api, rounds, print);
    await accepted(api, rounds, print);

    const pid = programs[0]?.pid ?? 0;
    await load(`${api}/api/repl`, few.api.token, { amount: manyRequests / 5 });
    const before = residentMegabytes(pid);
    await load(`${api}/api/repl`, few.api.token, { amount: manyRequests });
    print({
      case: `resident memory, before and after ${manyRequests} lists`,
      megabytes: [before, residentMegabytes(pid)],
    });
  } finally {
    await endPrograms(programs);
  }
}

/** Loads one after the other, and that again: a machine's own speed changes within minutes. Of each, the one in the middle. */
async function inTurns<Name extends string>(loads: Readonly<Record<Name, () => Promise<Load>>>) {
  const names = Object.keys(loads) as Name[];
  const rounds: Record<Name, Load>[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const round = {} as Record<Name, Load>;
    for (const name of names) round[name] = await loads[name]();
    rounds.push(round);
  }
  const middle = (name: Name) => {
    const sorted = rounds.map((round) => round[name]).sort((a, b) => a.requestsPerSecond - b.requestsPerSecond);
    return { ...(sorted[Math.floor(turns / 2)] as Load), each: sorted.map((load) => load.requestsPerSecond) };
  };
  return Object.fromEntries(names.map((name) => [name, middle(name)])) as Record<Name, ReturnType<typeof middle>>;
}

/** How long the first list takes when Redis has lost everything. */
async function afterFlush(
  environment: Readonly<Record<string, string>>,
  person: Person,
  rounds: number,
  print: (row: Row) => void,
): Promise<void> {
  const redis = new Redis(environment["REDIS_URL"] ?? "");
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await redis.flushall();
    const started = performance.now();
    const list = await person.list();
    times.push(performance.now() - started);
    if (list.length !== 100) throw new Error(`after a flush ${list.length} of 100 REPLs came back`);
  }
  redis.disconnect();
  rowPrinter(print)("list of 100, right after FLUSHALL", times);
}

/** How long a create takes until it is accepted; each is let run to its end and removed before the next. */
async function accepted(api: string, rounds: number, print: (row: Row) => void): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const person = await signIn(api, `bench-${randomUUID().slice(0, 8)}`);
    const started = performance.now();
    const { id } = await person.startCreate("node", "Bench");
    times.push(performance.now() - started);
    while ((await person.get(id)).status === "creating") await delay(100);
    await person.remove(id);
  }
  rowPrinter(print)("create accepted (respond-async)", times);
}

async function personWith(api: string, environment: Readonly<Record<string, string>>, count: number) {
  const person = await signIn(api, `bench-${randomUUID().slice(0, 8)}`);
  const store = createS3ObjectStore(objectStoreOptions(loadConfig(environment)));
  const ids = Array.from({ length: count }, () => `repl-${randomUUID().slice(0, 18)}`);
  const savedAt = new Date().toISOString();
  await Promise.all(
    ids.map((replId, index) =>
      createObjectStoreRecords(store).create({
        id: replId,
        name: `A REPL with a name, number ${index}`,
        owner: { id: person.userId, login: person.login },
        template: "node",
        createdAt: new Date(Date.now() - index * 1000).toISOString(),
        lastOpenedAt: savedAt,
        lastSave: { generation: 7, version: randomUUID(), files: 12, bytes: 34_567, savedAt },
      }),
    ),
  );
  return { api: person, ids };
}

const load = (url: string, token?: string, options: Omit<LoadOptions, "header"> = {}) =>
  loadWith(url, { ...options, ...(token ? { header: `authorization=Bearer ${token}` } : {}) });

async function lengthOf(url: string, token: string): Promise<number> {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return (await answer.arrayBuffer()).byteLength;
}

function residentMegabytes(pid: number): number {
  const [, kilobytes = "0"] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}
