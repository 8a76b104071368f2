import { randomUUID } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { signIn, type Person } from "../tools/api-client.ts";
import { freePort } from "../tools/free-port.ts";
import { apiAddresses } from "../tools/stack/environment.ts";
import { connectEditor } from "../tools/editor-client.ts";
import { endPrograms, startProgram } from "../tools/programs.ts";
import { answers } from "./programs.ts";
import { createFloors, settledMs } from "./floors.ts";
import { percentile, ratio, rowPrinter, type BenchOptions, type Row } from "./rows.ts";
import { readWorkflowSteps, type Step } from "./workflow-steps.ts";

/** Times of create, open and close, beside what Kubernetes alone needs for a pod and for an ephemeral container. */

/** Long enough that a pod on its way out does not take time from the next one. */
const settleMs = 2000;

/** The floors alone. Returns the two medians that other times are compared with. */
export async function benchFloors(
  { environment, rounds }: BenchOptions,
  print: (row: Row) => void,
): Promise<{ podFloor: number; ephemeralFloor: number }> {
  const floors = createFloors(environment);
  const row = rowPrinter(print);
  const bare: number[] = [];
  const bareVolume: number[] = [];
  const bareEphemeral: number[] = [];
  const workingEphemeral: number[] = [];
  await floors();
  for (let round = 0; round < rounds; round++) {
    const plain = await floors();
    bare.push(plain.podMs);
    bareEphemeral.push(plain.ephemeralMs);
    await delay(settleMs / 2);
    const busier = await floors({ withVolume: true, ephemeralSeconds: 0.3 });
    bareVolume.push(busier.podMs);
    workingEphemeral.push(busier.ephemeralMs);
    await delay(settleMs / 2);
  }
  row("floor: bare pod to Ready", bare);
  row("floor: bare pod with an emptyDir to Ready", bareVolume);
  row("floor: bare ephemeral container to its end", bareEphemeral);
  row("floor: bare ephemeral container that runs for 0.3 s, to its end", workingEphemeral);
  return { podFloor: percentile(bare, 0.5), ephemeralFloor: percentile(bareEphemeral, 0.5) };
}

/** Runs API and worker for itself, with templates of any size. */
export async function benchLifecycle(options: BenchOptions, print: (row: Row) => void): Promise<void> {
  const port = await freePort();
  const templates = makeTemplates();
  const environment = { ...process.env, ...options.environment, ...apiAddresses(options.stack, port) };
  const limits = {
    TEMPLATES_FOLDER: templates,
    RATE_LIMIT_PER_ADDRESS: "100000",
    MAX_REPLS_PER_USER: String(options.rounds + 2),
    MAX_ACTIVE_PER_USER: String(options.rounds + 2),
  };
  const programs = ["worker/main.ts", "api/main.ts"].map((main) => startProgram(main, { ...environment, ...limits }));
  try {
    const apiUrl = `http://localhost:${port}`;
    await answers(`${apiUrl}/readyz`);
    // The worker answers nobody; its first REPL shows that it works.
    const api = await signIn(apiUrl, `bench-${randomUUID().slice(0, 8)}`);
    await api.remove((await api.create("node", "First")).id);
    await measureLifecycle({ ...options, apiUrl }, print);
  } finally {
    await endPrograms(programs);
    rmSync(templates, { recursive: true });
  }
}

/** The template `node`, and templates that have more files. */
function makeTemplates(): string {
  const folder = mkdtempSync(join(tmpdir(), "devex-templates-"));
  cpSync(fileURLToPath(new URL("../templates/node", import.meta.url)), join(folder, "node"), { recursive: true });
  for (const files of [500, 1000]) {
    const template = join(folder, `files-${files}`);
    cpSync(join(folder, "node"), template, { recursive: true });
    mkdirSync(join(template, "files"));
    for (let file = 3; file < files; file++) writeFileSync(join(template, "files", `${file}`), "x".repeat(200));
  }
  return folder;
}

async function measureLifecycle(
  { apiUrl, environment, stack, rounds }: BenchOptions & { readonly apiUrl: string },
  print: (row: Row) => void,
): Promise<void> {
  const floors = createFloors(environment);

  async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
    const started = performance.now();
    const result = await work();
    return [performance.now() - started, result];
  }

  const row = rowPrinter(print);
  const toFloor = (times: readonly number[], floor: number) => ({
    ratioToFloor: ratio(percentile(times, 0.5), floor),
  });

  const { podFloor, ephemeralFloor } = await benchFloors({ environment, stack, rounds }, print);

  // All are removed afterwards: while inodes are fresh from a removal, ext4 looks past them for each new file.
  const creator = await signIn(apiUrl, `bench-${randomUUID().slice(0, 8)}`);
  const creates: number[] = [];
  const kept: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const [ms, { id }] = await timed(() => creator.create("files-500", `Bench ${round}`));
    creates.push(ms);
    kept.push(id);
    await delay(settleMs);
  }
  for (const id of kept) await creator.remove(id);
  row("create from a template of 500 files, ready", creates, toFloor(creates, podFloor));

  for (const files of [10, 1000]) {
    const api = await signIn(apiUrl, `bench-${randomUUID().slice(0, 8)}`);
    const times = { create: [] as number[], open: [] as number[], unchanged: [] as number[], changed: [] as number[] };
    const steps: { open: Step[][]; close: Step[][] } = { open: [], close: [] };
    const { id } = await api.create("node", "Bench");
    await writeFiles(api, id, files, "first");
    await api.close(id);
    await delay(settleMs);
    for (let round = 0; round < rounds; round++) {
      times.open.push((await timed(() => api.open(id)))[0]);
      steps.open.push(await readWorkflowSteps(environment, id));
      await delay(settledMs + Math.random() * 1000);
      times.unchanged.push((await timed(() => api.close(id)))[0]);
      steps.close.push(await readWorkflowSteps(environment, id));
      await delay(settleMs);
      const [createMs, made] = await timed(() => api.create(templateOf(files), `Bench ${round}`));
      times.create.push(createMs);
      await api.remove(made.id);
      await delay(settleMs);
      await api.open(id);
      await writeFiles(api, id, files, `round ${round}`);
      times.changed.push((await timed(() => api.close(id)))[0]);
      await delay(settleMs);
    }
    await api.remove(id);
    row(
      `create from a template of ${files === 10 ? 3 : files} files, ready`,
      times.create,
      toFloor(times.create, podFloor),
    );
    row(`open, ${files} files`, times.open, { ...toFloor(times.open, podFloor), stepsP50Ms: medianSteps(steps.open) });
    row(`close, ${files} files, nothing changed`, times.unchanged, {
      ...toFloor(times.unchanged, ephemeralFloor),
      stepsP50Ms: medianSteps(steps.close),
    });
    row(`close, ${files} files, all changed`, times.changed, toFloor(times.changed, ephemeralFloor));
  }

  const people = await Promise.all(
    Array.from({ length: 4 }, () => signIn(apiUrl, `bench-${randomUUID().slice(0, 8)}`)),
  );
  const repls = await Promise.all(people.map((api) => api.create("node", "Bench")));
  const together: number[] = [];
  const bareTogether: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await Promise.all(people.map((api, index) => api.close(repls[index]?.id ?? "")));
    await delay(settleMs);
    bareTogether.push(
      (await timed(() => Promise.all(people.map(async () => (await floors()).podMs))))[1].reduce(
        (most, time) => Math.max(most, time),
        0,
      ),
    );
    await delay(settleMs);
    together.push((await timed(() => Promise.all(people.map((api, index) => api.open(repls[index]?.id ?? "")))))[0]);
  }
  await Promise.all(people.map((api, index) => api.remove(repls[index]?.id ?? "")));
  row("floor: four bare pods at once, until the last is Ready", bareTogether);
  row("four opens at once, until the last answers", together, toFloor(together, percentile(bareTogether, 0.5)));
}

const templateOf = (files: number) => (files === 10 ? "node" : `files-${files}`);

/** Writes files of 200 bytes in a terminal of the REPL. */
async function writeFiles(api: Person, id: string, count: number, text: string): Promise<void> {
  const { url, ticket } = await api.open(id);
  const editor = await connectEditor(url, ticket, 60_000);
  const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
  const command = `mkdir -p files; for i in $(seq ${count - 3}); do printf '%0200d' $i > files/$i; echo '${text}' >> files/$i; done; echo wri''tten`;
  await editor.type(sessionId, command, "written");
  await editor.close();
}

function medianSteps(runs: readonly (readonly Step[])[]): Record<string, number> {
  const names = [...new Set(runs.flatMap((run) => run.map(({ name }) => name)))];
  return Object.fromEntries(
    names.map((name) => [
      name,
      percentile(
        runs.flatMap((run) => run.filter((step) => step.name === name).map(({ ms }) => ms)),
        0.5,
      ),
    ]),
  );
}
