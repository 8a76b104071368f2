import { execFile } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client } from "pg";
import { describe, expect, inject, it, vi } from "vitest";
import { createKubernetesCluster } from "../../adapters/kubernetes-cluster.ts";
import { runningReplWorkflows } from "../../adapters/temporal-client.ts";
import { loadConfig } from "../../config/config.ts";
import { objectKey } from "../../domain/naming.ts";
import type { ReplRecord } from "../../domain/repl.ts";
import { signIn } from "../../tools/api-client.ts";
import { audit } from "../../tools/audit.ts";
import { startPostgres } from "../setup/postgres.ts";
import { operator, withTemporal } from "./cluster.ts";
import { apiUrl, inspector, newPerson, openEditor, shell } from "./flow.ts";
import { endWorkers, startApi, startWorker } from "./programs.ts";

const patience = { timeout: 60_000, interval: 250 };
const program = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Runs one of our programs to its end. */
async function ran(path: string, args: readonly string[], env: Readonly<Record<string, string | undefined>>) {
  const running = promisify(execFile)(process.execPath, [program(path), ...args], { env, timeout: 60_000 });
  const { stdout, stderr } = await running.catch((error: { stdout: string; stderr: string }) => error);
  return stdout + stderr;
}

/** Nothing may be open or under way while a registry is moved, and other tests leave things that are. */
async function endWhatOthersLeft(): Promise<void> {
  const { KUBECONFIG: kubeconfig, REPL_NAMESPACE: namespace } = loadConfig(inject("stack"));
  for (const session of await inspector().sessions()) {
    const key = objectKey.record(session.userId, session.replId);
    const [known] = await inspector().keysUnder(key);
    // Of a contract test, which needs no record.
    if (!known) await createKubernetesCluster({ kubeconfig, namespace }).remove(session);
    else {
      const { owner } = JSON.parse(await inspector().textOf(key)) as ReplRecord;
      await (await signIn(apiUrl(), owner.login)).close(session.replId);
    }
  }
  const underWay = () => withTemporal((client) => client.workflow.count(runningReplWorkflows));
  await vi.waitFor(async () => expect((await underWay()).count).toBe(0), patience);
}

describe("the registry in Postgres", () => {
  it("gets every REPL, serves all that people do, and gives them back", { timeout: 400_000 }, async () => {
    const before = await newPerson();
    const { id } = await before.create("node", "Made before");
    const first = await openEditor(before, id);
    await shell(first, "echo bucket > where.txt");
    await first.close();
    await before.close(id);
    await endWhatOthersLeft();

    const server = await startPostgres();
    const database = new Client(server.url);
    const { environment } = inject("worker");
    const move = (where: string) => ran("tools/registry.ts", [where], { ...environment, DATABASE_URL: server.url });
    let api: Awaited<ReturnType<typeof startApi>> | undefined;
    try {
      await endWorkers();
      expect(await move("to-postgres")).toContain("are in Postgres");
      api = await startApi({ DATABASE_URL: server.url });
      const there = api.environment;
      await database.connect();
      // Who would serve the bucket without them does not start.
      expect(await ran("worker/main.ts", [], environment)).toContain("set DATABASE_URL");
      await startWorker(undefined, undefined, there);

      const person = await signIn(api.url, before.login);
      expect((await person.list()).map((repl) => repl.id)).toEqual([id]);
      const editor = await openEditor(person, id);
      expect(await shell(editor, "cat where.txt")).toBe("bucket");
      const rowOf = async (replId: string) =>
        (
          await database.query<{ record: { id?: string; lastSave?: { generation: number }; lastLoss?: object } }>(
            "select record from repl where id = $1",
            [replId],
          )
        ).rows[0]?.record;
      const generation = async () => (await rowOf(id))?.lastSave?.generation ?? 0;
      const atFirst = await generation();
      await shell(editor, "echo checkpoint > where.txt");
      await vi.waitFor(async () => expect(await generation()).toBeGreaterThan(atFirst), patience);
      await vi.waitFor(
        async () => expect((await person.get(id)).lastSave?.generation).toBe(await generation()),
        patience,
      );

      // Its successor asks the API which save to begin with.
      const [pod] = await operator().podsOf(id);
      await operator().killPod(pod?.metadata?.name ?? "");
      await vi.waitFor(async () => expect((await rowOf(id))?.lastLoss).toBeDefined(), patience);
      await vi.waitFor(async () => expect((await person.get(id)).status).toBe("running"), patience);
      const again = await openEditor(person, id);
      expect(await shell(again, "cat where.txt; echo closed > where.txt")).toBe("checkpoint");
      await again.close();
      const { save } = await person.close(id);
      expect(save?.generation).toBe(await generation());

      const other = await person.create("python", "Made there");
      expect((await rowOf(other.id))?.id).toBe(other.id);
      await person.remove(other.id);
      // Its tombstone is all that stays, for a late attempt.
      expect(Object.keys((await rowOf(other.id)) ?? {})).toEqual(["tombstones"]);
      expect((await (await fetch(`${api.url}/ping`)).json()) as object).toMatchObject({ postgres: "ok" });
      await vi.waitFor(async () => expect(await audit(there, 1, ({ replId }) => replId === id)).toEqual([]), patience);
    } finally {
      await endWorkers();
      if (api) {
        api.program.kill("SIGTERM");
        await once(api.program, "exit");
      }
      expect(await move("to-bucket")).toContain("are in the bucket");
      await startWorker();
      await database.end();
      await server.stop();
    }
    const last = await openEditor(before, id);
    expect(await shell(last, "cat where.txt")).toBe("closed");
    await last.close();
    await before.close(id);
    await before.remove(id);
  });
});
