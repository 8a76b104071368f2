import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { connectToRedis } from "../../adapters/redis-connection.ts";
import type { Person } from "../../tools/api-client.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { crash, freeze, operator } from "./cluster.ts";
import { newPerson, openEditor, shell } from "./flow.ts";
import { startWorker, workers } from "./programs.ts";

/**
 * People at work on the real servers while those crash and hang, the worker is killed and Redis is flushed. Each
 * appends numbers to a file; in the end all that were acknowledged must be there, in order, and every invariant must
 * hold. DEVEX_WALK_SECONDS says for how long (600 is the long form), DEVEX_WALK_SEED walks with the same dice again:
 * what meets what depends on the machine, too.
 */

const walkSeconds = Number(process.env["DEVEX_WALK_SECONDS"] ?? 40);
const seed = Number(process.env["DEVEX_WALK_SEED"] ?? Date.now() % 2 ** 31);
const numberOfPeople = 3;
const servers = ["temporal", "kube-apiserver", "s3", "s3-identity", "etcd", "containerd", "kubelet"];
const patience = { timeout: 240_000, interval: 500 };

/** Numbers from 0 up to a limit, the same for the same seed (Marsaglia's xorshift). */
function dice(from: number): (limit: number) => number {
  let state = (from ^ 0x9e3779b9) | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

describe("a random walk on real servers", () => {
  it(
    `loses nothing that was acknowledged (seed ${seed}, ${walkSeconds} s)`,
    { timeout: (walkSeconds + 600) * 1000 },
    async () => {
      const end = Date.now() + walkSeconds * 1000;
      const log: string[] = [];
      const people = await Promise.all(Array.from({ length: numberOfPeople }, newPerson));
      const faults = mischief(end, log);
      try {
        const written = await Promise.all(people.map((api, at) => work(api, dice(seed + at), end, log)));
        await faults;
        for (const [at, { id, acknowledged }] of written.entries()) {
          if (id === undefined) continue;
          const api = people[at] as Person;
          const editor = await vi.waitFor(() => openEditor(api, id), patience);
          const found = (await shell(editor, "cat numbers")).split("\n").filter(Boolean).map(Number);
          expect(found, `of person ${at}`).toEqual(Array.from({ length: acknowledged }, (_, number) => number));
          await editor.close();
          await api.remove(id);
        }
      } catch (error) {
        console.error(log.join("\n"));
        throw error;
      }
    },
  );
});

/** One person's day. What they are refused they try again; only what was acknowledged counts. */
async function work(api: Person, roll: (limit: number) => number, end: number, log: string[]) {
  let id: string | undefined;
  let acknowledged = 0;
  const insist = <T>(what: string, attempt: () => Promise<T>) =>
    vi.waitFor(async () => {
      try {
        return await attempt();
      } catch (error) {
        log.push(`${new Date().toISOString()} ${api.login} ${what}: ${String(error).slice(0, 200)}`);
        throw error;
      }
    }, patience);
  while (Date.now() < end) {
    const current = id;
    if (current === undefined) {
      // A create that fails has left nothing, and one whose answer was lost is found in the list.
      id = await insist("create", async () => {
        const [repl] = await api.list();
        if (repl && ["stopped", "running"].includes(repl.status)) return repl.id;
        if (repl) throw new Error(`it is ${repl.status}`);
        return (await api.create("node", "Walk")).id;
      });
      acknowledged = 0;
      await insist("first write", async () =>
        shell(await openEditor(api, id as string), "rm -f numbers; touch numbers"),
      );
      continue;
    }
    const face = roll(8);
    if (face < 4) {
      const number = acknowledged;
      await insist("write", async () => {
        const editor = await openEditor(api, current);
        // Written once, also when the answer to an earlier try was lost.
        const command = `[ "$(tail -n 1 numbers)" = ${number} ] || echo ${number} >> numbers; tail -n 1 numbers`;
        const last = await shell(editor, command);
        await editor.close();
        if (last !== String(number)) throw new Error(`the last number is ${last}, not ${number}`);
      });
      acknowledged = number + 1;
    } else if (face < 7) {
      await insist("close", async () => {
        if ((await api.get(current)).status !== "stopped") expect((await api.close(current)).lost).toBeUndefined();
      });
    } else {
      await insist("remove", async () => {
        if ((await api.list()).length > 0) await api.remove(current);
      });
      id = undefined;
    }
  }
  return { id, acknowledged };
}

/** One fault after another, with a little time to come back. None takes a pod: what nobody has saved yet would be gone. */
async function mischief(end: number, log: string[]): Promise<void> {
  const roll = dice(seed + numberOfPeople);
  const redis = connectToRedis(stackVariable("REDIS_URL"));
  while (Date.now() < end) {
    await delay(1000 + roll(4000));
    const server = servers[roll(servers.length)] as string;
    const faults: [string, () => Promise<unknown>][] = [
      [`crash of ${server}`, () => crash(server)],
      [
        `${server} hangs`,
        async () => {
          const thaw = freeze(server);
          await delay(500 + roll(3000));
          thaw();
        },
      ],
      ["flush of Redis", () => redis.flushall()],
      [
        "the worker is killed",
        async () => {
          const release = await operator().currentRelease();
          for (const pid of workers()) process.kill(pid, "SIGKILL");
          await startWorker(release);
        },
      ],
    ];
    const [name, strike] = faults[roll(faults.length)] as (typeof faults)[number];
    log.push(`${new Date().toISOString()} ${name}`);
    await strike();
  }
  redis.disconnect();
}
