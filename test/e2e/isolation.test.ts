import { beforeAll, describe, expect, inject, it, vi } from "vitest";
import { workspaceFolder } from "../../domain/naming.ts";
import { accepts } from "../../tools/accepts.ts";
import { readOrCreateSettings, portOf } from "../../tools/stack/settings.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { listCompiledCode, operator } from "./cluster.ts";
import { newPerson, openEditor, reachesBy, shell } from "./flow.ts";

const patience = { timeout: 30_000, interval: 250 };
/** Of 200 files each. 500 of them take long: the local stack's identity server looks at the keys of each request anew. */
const folders = Number(process.env["DEVEX_TREE_FOLDERS"] ?? 10);

describe("the pod of a REPL", () => {
  const stack = readOrCreateSettings(process.env["DEVEX_STACK"] ?? "dev");
  let run: (command: string) => Promise<string>;
  let neighbour: string;
  let replId: string;

  beforeAll(async () => {
    const [mallory, alice] = [await newPerson(), await newPerson()];
    const [mine, others] = await Promise.all([mallory.create("node", "Nosy"), alice.create("node", "Neighbour")]);
    const [pod] = await operator().podsOf(others.id);
    neighbour = pod?.status?.podIP ?? "";
    replId = mine.id;
    const editor = await openEditor(mallory, mine.id);
    run = (command) => shell(editor, command);
    return async () => {
      await mallory.remove(mine.id);
      await alice.remove(others.id);
    };
  });

  const reaches = (host: string, port: number | string) => reachesBy(run, host, port);

  it("reaches the object store and the API that it reports to, and what is of the Internet", async () => {
    const store = new URL(stackVariable("S3_ENDPOINT"));
    // The rules come a moment after the worker has applied the policy.
    await vi.waitFor(async () => expect(await reaches(store.hostname, store.port)).toBe(true), patience);
    const api = new URL(inject("worker").environment["RUNNER_API_URL"] ?? "");
    expect(await reaches(api.hostname, api.port)).toBe(true);
    // An address for documentation, which this machine has: to pods it is like any other of the Internet.
    expect(await reaches(new URL(stackVariable("STS_ISSUER")).hostname, 443)).toBe(true);
  });

  it("reaches no other pod, nor anything else of the machine and its networks", async () => {
    await vi.waitFor(async () => expect(await reaches(neighbour, 8081)).toBe(false), patience);
    const servers = [
      "kubelet",
      "apiServer",
      "etcd",
      "redis",
      "temporal",
      "temporalUi",
      "s3Identity",
      "ingress",
    ] as const;
    for (const server of servers) expect(await reaches(stack.gateway, portOf(stack, server)), server).toBe(false);
    expect(await reaches("169.254.169.254", 80), "the cloud's metadata").toBe(false);
    expect(await reaches(stack.gateway, 22), "the node's ssh").toBe(false);
    // What would have shown it: the kubelet listens there, and the node itself reaches it.
    expect(await accepts(stack.gateway, portOf(stack, "kubelet"))).toBe(true);
  });

  it("holds no key, no token of the cluster, and none of the rights of root", async () => {
    const names = (await run("env | cut -d= -f1")).split("\n");
    expect(names.filter((name) => /S3|AWS|SECRET|KEY|DEVEX|KUBERNETES/.test(name))).toEqual([]);
    expect(await run("ls /var/run/secrets/kubernetes.io 2>&1; ls /run/devex-keys 2>&1")).toMatch(
      /No such file[^]*No such file/,
    );
    expect(await run("id -u; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status")).toMatch(
      /^1000\nCapEff:\s+0+\nNoNewPrivs:\s+1\nSeccomp:\s+2$/,
    );
    expect(await run("touch /etc/x 2>&1")).toContain("Read-only file system");
  });

  it("brings its programs compiled, for the user who runs them and may not change them", async () => {
    expect(await operator().runIn(replId, "runner", listCompiledCode)).toMatch(/^[0-9a-f]{8}$/m);
    const write = "for folder in $NODE_COMPILE_CACHE $NODE_COMPILE_CACHE/*; do touch $folder/x 2>&1; done";
    const refused = (await operator().runIn(replId, "runner", ["sh", "-c", write])).trim().split("\n");
    expect(refused).toHaveLength(2);
    for (const line of refused) expect(line).toMatch(/Read-only file system$/);
  });

  it("saves with a program that takes no settings from people's files", async () => {
    await run(`cd ${workspaceFolder} && echo FROM_FILE=1 > .env && echo 'preload = ["./steal.mjs"]' > bunfig.toml`);
    await run(`echo 'console.log("stolen")' > ${workspaceFolder}/steal.mjs`);
    const seen = (command: string) => operator().runIn(replId, "checkpoint", ["sh", "-c", `${command} 2>&1`]);
    expect(await seen("readlink /proc/1/cwd; touch .env bunfig.toml")).toMatch(
      /^\/opt\/devex\n(.*Read-only file system\n){2}$/,
    );
    // Also where somebody starts it among them.
    expect(await seen(`cd ${workspaceFolder} && ls -a && bun --print process.env.FROM_FILE`)).toMatch(
      /^\.env$[^]*^bunfig\.toml$[^]*^undefined\n$/m,
    );
  });
});

describe("what takes too much", () => {
  const day = async () => {
    const [api, other] = [await newPerson(), await newPerson()];
    const [{ id }, neighbour] = await Promise.all([api.create("node", "Greedy"), other.create("node", "Modest")]);
    const editor = await openEditor(api, id);
    await shell(editor, "echo precious > work.txt");
    return {
      editor,
      /** The neighbour has noticed nothing, and the greedy one closes and finds its work again. */
      async endsWell({ check = "true", generation = 2 }: { check?: string; generation?: unknown } = {}) {
        expect(await shell(await openEditor(other, neighbour.id), "echo fine")).toBe("fine");
        const { save, lost } = await api.close(id);
        expect([lost, save.generation]).toEqual([undefined, generation]);
        const reopened = await openEditor(api, id);
        expect(await shell(reopened, "cat work.txt")).toBe("precious");
        expect(await shell(reopened, `${check} && echo whole`)).toBe("whole");
        await Promise.all([api.remove(id), other.remove(neighbour.id)]);
      },
    };
  };

  it("of processes is ended, and hurts nobody else", async () => {
    const { editor, endsWell } = await day();
    const { sessionId } = await editor.ask("requestTerminal", {}, "terminalConnected");
    editor.send("terminalInput", { sessionId, data: "bomb() { bomb & bomb & wait; }; bomb\r" });
    const { data } = await editor.next(({ event }) => event === "error", patience.timeout);
    expect(data["message"]).toContain("More than 400 programs");
    await endsWell();
  });

  it("of memory is ended, and hurts nobody else", async () => {
    const { editor, endsWell } = await day();
    const hog = `node -e 'const all = []; for (;;) all.push(Buffer.alloc(64 << 20, 1))'`;
    expect(await shell(editor, `${hog} > /dev/null 2>&1; echo ended with $?`)).toContain("ended with 137");
    await endsWell();
  });

  it(`of files (${folders * 200}) is saved all the same, and hurts nobody else`, { timeout: 600_000 }, async () => {
    const { editor, endsWell } = await day();
    await shell(editor, `mkdir tree && cd tree && mkdir {1..${folders}}`);
    // Some thousand at a time, because a command that says nothing for long is given up.
    for (let from = 1; from <= folders; from += 10)
      await shell(editor, `for d in {${from}..${from + 9}}; do (cd tree/$d && touch {1..200}); done`);
    // How many checkpoints there were meanwhile depends on how long it takes.
    const generation = expect.any(Number) as unknown;
    await endsWell({ check: `[ $(find tree -type f | wc -l) = ${folders * 200} ]`, generation });
  });

  it("leaves no dead process behind whose parent has ended", async () => {
    const { editor, endsWell } = await day();
    await shell(editor, "for i in 1 2 3; do (setsid sleep 0.1 &); done; sleep 1");
    expect(await shell(editor, "cat /proc/[0-9]*/stat | grep -c ') Z '; true")).toBe("0");
    await endsWell();
  });
});
