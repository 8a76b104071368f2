import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { describe, expect, inject, it, onTestFinished, vi } from "vitest";
import WebSocket from "ws";
import { createKubernetesCluster } from "../../adapters/kubernetes-cluster.ts";
import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { createApiClient } from "../../api/client.ts";
import { loadConfig } from "../../config/config.ts";
import { objectKey, stateFolder, workflowIdOf, workspaceFolder } from "../../domain/naming.ts";
import { purge } from "../../domain/purge.ts";
import type { EditorClient } from "../../tools/editor-client.ts";
import { stackObjectStore, stackVariable } from "../setup/stack-variables.ts";
import { crash, freeze, operator, stack, successorOf, withTemporal } from "./cluster.ts";
import { apiUrl, inspector, newPerson, openEditor, recovery, shell } from "./flow.ts";
import { answerInPlaceOfS3, cutBodies, noSuchBucket, pageNotFound } from "./store-faults.ts";

const patience = { timeout: 90_000, interval: 250 };
/** A step of a start has a minute (workflows/activities.ts). The longer form, DEVEX_HANG_SECONDS=60, is past that. */
const hangSeconds = Number(process.env["DEVEX_HANG_SECONDS"] ?? 10) + 5;
/** Past the grace that a session has before anybody takes it for an orphan, with something to spare. */
const orphanAgeSeconds = 11 * 60;

/** So many folders of ten letters make a path of 4,095 bytes below the workspace. */
const deepest = Math.floor((4095 - `${workspaceFolder}/`.length) / 11);

const digestOf = (content: string) => createHash("sha256").update(content).digest("hex");
const reopen = (...of: Parameters<typeof openEditor>) =>
  vi.waitFor(() => openEditor(...of), { timeout: 15_000, interval: 200 });

/** Small files, and how to look whether every byte of them is there. */
async function writeFiles(editor: EditorClient, folder: string, count: number) {
  await shell(editor, `mkdir ${folder}; for i in {1..${count}}; do echo $i > ${folder}/$i; done`);
  const digest = digestOf(Array.from({ length: count }, (_, at) => `${at + 1}\n`).join(""));
  return async (again: EditorClient) =>
    (await shell(again, `cat ${folder}/{1..${count}} 2>/dev/null | sha256sum`)).startsWith(digest);
}

/** A server that ends only when it is killed, and keeps every WebSocket. */
const stubborn = `
for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"]) process.on(signal, () => {});
require("http").createServer((request, response) => response.end("here")).on("upgrade", (request, socket) => {
  const accept = require("crypto").createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  socket.on("error", () => {}).write("HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n");
}).listen(3000);
`;

describe("a pod that is deleted with its grace", () => {
  it("hands over 3,000 files that no checkpoint had", async () => {
    const api = await newPerson();
    const { id, lastSave: first } = await api.create("node", "Deleted");
    const editor = await openEditor(api, id);
    const isWhole = await writeFiles(editor, "many", 3000);
    const [pod] = await operator().podsOf(id);
    const { lastSave: before } = await api.get(id);
    await operator().deletePod(pod?.metadata?.name ?? "");
    expect(before?.files).toBe(first?.files);
    const recovered = recovery();
    await successorOf(id, pod?.metadata?.uid);
    recovered();
    expect(await isWhole(await reopen(api, id))).toBe(true);
    expect((await api.close(id)).lost).toBeUndefined();
    await api.remove(id);
  });

  it("is waited for by a close, which says lost if and only if something is", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Ending");
    const editor = await openEditor(api, id);
    const program = Buffer.from(stubborn).toString("base64");
    await shell(editor, `echo ${program} | base64 -d > s.cjs; (setsid node s.cjs > /dev/null 2>&1 &)`);
    const preview = `${editor.url.replace(/^http/, "ws")}user-app/3000/`;
    const headers = { cookie: `devex_repl=${editor.ticket}`, origin: new URL(editor.url).origin };
    const socket = await vi.waitFor(async () => {
      const opening = new WebSocket(preview, { headers });
      await new Promise((resolve, reject) => opening.once("open", resolve).once("error", reject));
      return opening;
    }, patience);
    socket.on("error", () => {});
    const isWhole = await writeFiles(editor, "many", 1500);
    const [pod] = await operator().podsOf(id);
    expect(socket.readyState).toBe(WebSocket.OPEN);
    await operator().deletePod(pod?.metadata?.name ?? "");
    const closing = api.close(id);
    closing.catch(() => {});
    await vi.waitFor(async () => expect((await api.get(id)).status).toBe("stopping"), {
      timeout: 10_000,
      interval: 10,
    });
    const ending = (await operator().podsOf(id)).find(({ metadata }) => metadata?.uid === pod?.metadata?.uid);
    expect(ending?.metadata?.deletionTimestamp).toBeDefined();
    expect(ending?.status?.containerStatuses?.some(({ state }) => state?.running)).toBe(true);
    const recovered = recovery();
    const { lost } = await closing;
    recovered();
    console.log(lost ?? "nothing was lost");
    if (lost !== undefined) expect(lost).toMatch(/ save \d+\b.* is gone/);
    expect(await isWhole(await openEditor(api, id))).toBe(lost === undefined);
    await api.remove(id);
  });
});

describe("an object store that is not what it was", () => {
  it.each([
    { what: "a page of a gateway", answer: pageNotFound },
    { what: "no bucket", answer: noSuchBucket },
  ])(
    "$what in its place makes nobody remove a pod; all is there when it is back",
    { timeout: 240_000 },
    async ({ answer }) => {
      const api = await newPerson();
      const { id } = await api.create("node", "Away");
      const editor = await openEditor(api, id);
      await operator().makeOlder(id, orphanAgeSeconds);
      const uids = async () => (await operator().podsOf(id)).map(({ metadata }) => metadata?.uid);
      const before = await uids();
      const away = await answerInPlaceOfS3(answer);
      try {
        await shell(editor, "echo precious > work.txt");
        for (let run = 0; run < 3; run++) {
          const since = away.asked.length;
          // It ends as failed where it cannot look at the bucket.
          await operator()
            .reconcile({ userId: api.userId })
            .catch(() => {});
          expect(away.asked.slice(since)).toContain(
            `/${stackVariable("S3_BUCKET")}/${objectKey.record(api.userId, id)}`,
          );
        }
        expect(await uids()).toEqual(before);
        const [session] = await sessionsOf(api.userId);
        expect(session).toMatchObject({ replId: id });
        expect(session?.orphan).toBeUndefined();
      } finally {
        await away.end();
      }
      const recovered = recovery();
      expect((await api.close(id)).lost).toBeUndefined();
      recovered();
      expect(await shell(await openEditor(api, id), "cat work.txt")).toBe("precious");
      await api.remove(id);
    },
  );

  it("one that breaks off bodies delays an open and harms no byte", async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Broken off");
    const write = "for i in {1..8}; do head -c 1M /dev/urandom > $i.bin; done; sha256sum *.bin | sha256sum";
    const digest = await shell(await openEditor(api, id), write);
    await api.close(id);
    const times = 12;
    const broken = await cutBodies({ times, afterBytes: 300_000 });
    try {
      expect(await shell(await openEditor(api, id), "sha256sum *.bin | sha256sum")).toBe(digest);
      expect(broken.cuts()).toBe(times);
      await api.close(id);
    } finally {
      await broken.end();
    }
    await api.remove(id);
  });
});

const sessionsOf = (userId: string) => cluster().listSessions(userId);
function cluster() {
  const { KUBECONFIG: kubeconfig, REPL_NAMESPACE: namespace } = loadConfig(inject("stack"));
  return createKubernetesCluster({ kubeconfig, namespace });
}

describe("a session whose record is gone", () => {
  it("is rescued with every byte, for its owner alone", async () => {
    const [api, stranger] = [await newPerson(), await newPerson()];
    const store = createS3ObjectStore(stackObjectStore());
    const { id } = await api.create("node", "Orphan");
    const editor = await openEditor(api, id);
    const key = objectKey.record(api.userId, id);
    const record = (await store.getText(key))?.text ?? "";
    try {
      await operator().makeOlder(id, orphanAgeSeconds);
      await store.remove([key]);
      const digest = await shell(editor, "head -c 3M /dev/urandom > late.bin; sha256sum < late.bin");

      await operator().reconcile({ userId: api.userId });
      const [session] = await sessionsOf(api.userId);
      if (!session) throw new Error("nothing runs");
      expect(session.orphan?.looks).toBeGreaterThan(0);
      const since = new Date(Date.now() - orphanAgeSeconds * 1000).toISOString();
      await cluster().note(session, { orphan: { since, looks: 5 } });
      expect(await operator().reconcile({ userId: api.userId })).toMatchObject({
        findings: [expect.stringContaining(`${id}: rescue, the registry has no such REPL`) as string],
      });
      await vi.waitFor(async () => expect(await inspector().objectsOf(id)).toEqual([]), patience);

      const rescued = { replId: id, sessionId: session.id };
      const rescuedOf = async ({ token }: typeof api) => {
        const answer = await createApiClient(apiUrl(), { token }).api.rescued.$get();
        return answer.ok ? answer.json() : [];
      };
      expect(await rescuedOf(api)).toMatchObject([{ ...rescued, files: 4 }]);
      expect(await rescuedOf(stranger)).toEqual([]);
      const createFrom = ({ token }: typeof api) =>
        createApiClient(apiUrl(), { token }).api.repl.create.$post({
          json: { from: rescued, template: "node", name: "Rescued" },
          header: {},
        });
      expect((await createFrom(stranger)).status).toBe(404);
      const created = await createFrom(api);
      expect(created.status).toBe(201);
      const { id: newId } = (await created.json()) as { id: string };
      const again = await openEditor(api, newId);
      expect(await shell(again, "sha256sum < late.bin; ls -1")).toBe(
        `${digest}\nREADME.md\nlate.bin\npackage.json\nserver.js`,
      );
      await api.remove(newId);
    } finally {
      // As an operator would who has found the record: the look-ups are filled again from what is there.
      await store.putText(key, record);
      const redis = new Redis(stackVariable("REDIS_URL"));
      await redis.flushall();
      redis.disconnect();
      await api.remove(id);
      await purge(store, objectKey.rescued(id));
    }
  });
});

describe("what cannot be saved", () => {
  it("is named at the close, holds up nothing else, and makes no save after save", { timeout: 240_000 }, async () => {
    const api = await newPerson();
    const { id } = await api.create("node", "Odd");
    const editor = await openEditor(api, id);
    await shell(
      editor,
      "echo secret > closed.txt; chmod 000 closed.txt; truncate -s 1T sparse.bin; mkfifo fifo; echo kept > kept.txt",
    );
    await shell(editor, `node -e 'require("net").createServer().listen("sock", () => process.kill(process.pid, 9))'`);
    await shell(editor, "(for i in {1..450}; do mkdir abcdefghij && cd abcdefghij; done; echo deep > deep.txt)");
    expect(
      await shell(
        editor,
        "stat -c '%F' fifo sock; cat closed.txt 2>/dev/null || echo refused; cd abcdefghij/abcdefghij && ls",
      ),
    ).toBe("fifo\nsocket\nrefused\nabcdefghij");
    const told = await vi.waitFor(async () => {
      const { unsaved, lastSave } = await api.get(id);
      expect(unsaved?.reason).toContain("sparse.bin");
      return { generation: lastSave?.generation };
    }, patience);
    // Each checkpoint leaves its mark there when it begins.
    const lastLook = async () => Number(await shell(editor, `stat -c %Y ${stateFolder}`));
    const firstLook = await lastLook();
    await vi.waitFor(async () => expect(await lastLook()).toBeGreaterThan(firstLook + 22), patience);
    expect((await api.get(id)).lastSave?.generation).toBe(told.generation);

    const { lost, notSaved } = await api.close(id);
    expect(lost).toBeUndefined();
    const named = notSaved?.first.map(({ path }) => path.slice(0, 20)).sort();
    expect(named).toEqual([expect.stringContaining("abcdefghij/"), "sparse.bin"]);
    const again = await openEditor(api, id);
    // A file that its owner has closed to all is theirs still.
    expect(await shell(again, "cat kept.txt; stat -c %a closed.txt; chmod 600 closed.txt; cat closed.txt; ls -1")).toBe(
      "kept\n0\nsecret\nREADME.md\nabcdefghij\nclosed.txt\nkept.txt\npackage.json\nserver.js",
    );
    // Of the deep folder all is there whose path is one.
    expect(await shell(again, "find abcdefghij -type d | wc -l")).toBe(String(deepest));
    await api.remove(id);
  });
});

describe("a server that hangs in a create", () => {
  it.each(["s3", "kube-apiserver"])(
    `for ${hangSeconds} s, %s, leaves one REPL of the request or nothing, and the same request makes one`,
    { timeout: (hangSeconds + 240) * 1000 },
    async (server) => {
      const api = await newPerson();
      const create = () => api.create("node", "Once", { "idempotency-key": "once" });
      const creating = create().catch(() => undefined);
      const { id } = await vi.waitFor(
        async () => {
          const [repl] = await api.list();
          if (!repl) throw new Error("no place is taken yet");
          return repl;
        },
        { timeout: 10_000, interval: 5 },
      );
      const thaw = freeze(server);
      try {
        await delay(hangSeconds * 1000);
        const run = await withTemporal((client) => client.workflow.getHandle(workflowIdOf(id)).describe());
        expect([run.status.name, run.raw.pendingActivities?.length]).toEqual(["RUNNING", 1]);
      } finally {
        thaw();
      }
      const recovered = recovery();
      await creating;
      await vi.waitFor(
        async () => expect((await api.list())[0]?.status ?? "gone").toMatch(/^(running|gone)$/),
        patience,
      );
      expect(await vi.waitFor(create, patience)).toMatchObject({ id, status: "running" });
      recovered();
      expect(await api.list()).toMatchObject([{ id, status: "running" }]);
      expect(await sessionsOf(api.userId)).toMatchObject([{ replId: id }]);
      expect(await shell(await openEditor(api, id), "ls -1")).toBe("README.md\npackage.json\nserver.js");
      await api.remove(id);
    },
  );
});

describe("a Redis that comes back older than it was", () => {
  it("hides no REPL and brings none back", async () => {
    const redis = new Redis(stackVariable("REDIS_URL"));
    onTestFinished(() => {
      redis.disconnect();
      rmSync(join(stack().folder, "dump.rdb"), { force: true });
    });
    const api = await newPerson();
    const { id: deleted } = await api.create("node", "Deleted");
    await api.close(deleted);
    expect(await api.list()).toMatchObject([{ id: deleted }]);
    const mark = `test:${api.userId}`;
    await redis.set(mark, "old");
    await redis.save();
    await redis.set(mark, "new");
    await api.remove(deleted);
    const { id } = await api.create("node", "Newer");
    await shell(await openEditor(api, id), "echo precious > work.txt");
    await api.close(id);
    await crash("redis");
    expect(await redis.get(mark)).toBe("old");
    const recovered = recovery();
    expect((await vi.waitFor(() => api.list(), patience)).map((repl) => repl.id)).toEqual([id]);
    recovered();
    expect(await api.get(id)).toMatchObject({ status: "stopped" });
    await expect(api.get(deleted)).rejects.toThrow("404");
    await expect(api.open(deleted)).rejects.toThrow("404");
    expect(await shell(await openEditor(api, id), "cat work.txt")).toBe("precious");
    await api.remove(id);
    await redis.del(mark);
  });
});
