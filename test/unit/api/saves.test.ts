import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { objectKey } from "../../../domain/naming.ts";
import { startApi } from "../../fakes/api.ts";
import { savedRepl } from "../../setup/saved-repl.ts";
import { newFolder, removeFolders } from "../../setup/trees.ts";
import { problemOf } from "./problem-of.ts";

async function withSaves() {
  const api = await startApi();
  const alice = await api.person("alice");
  const { id } = await alice.create();
  const repl = await savedRepl(api.store, { id, userId: alice.owner.id });
  repl.write("src/main.py", "print('first')");
  repl.write("grün & <b>.txt", "text");
  symlinkSync("src/main.py", join(repl.root, "link"));
  repl.write("..\\up", "no way up");
  repl.write("c:drive", "no drive");
  await repl.save();
  repl.write("src/main.py", "print('second')");
  await repl.save("checkpoint");
  api.flush();
  return { ...api, alice, id, repl, path: `/api/repl/${id}/saves` };
}

describe("saves of a REPL", () => {
  afterEach(removeFolders);

  it("are listed, newest first", async () => {
    const { alice, path } = await withSaves();
    const answer = (await (await alice.as("GET", path)).json()) as { saves: { generation: number }[] };
    expect(answer.saves).toMatchObject([
      { generation: 2, kind: "checkpoint", files: 4, isNewest: true },
      { generation: 1, kind: "close", files: 4, isNewest: false },
    ]);
    expect(await (await alice.as("GET", `${path}?limit=1`)).json()).toMatchObject({
      saves: [{ generation: 2 }],
      before: 2,
    });
    expect(await (await alice.as("GET", `${path}?before=2`)).json()).toMatchObject({ saves: [{ generation: 1 }] });
  });

  it("are those of the registry, also while the look-ups have not heard of the newest", async () => {
    const { alice, path, repl, id } = await withSaves();
    await alice.as("GET", `/api/repl/${id}`);
    repl.write("src/main.py", "print('third')");
    await repl.save();
    expect(await (await alice.as("GET", `/api/repl/${id}`)).json()).toMatchObject({ lastSave: { generation: 2 } });
    expect(await (await alice.as("GET", path)).json()).toMatchObject({ saves: [{ generation: 3 }, {}, {}] });
    expect((await alice.as("GET", `${path}/3/files`)).status).toBe(200);
  });

  it("of a REPL that was closed already are named by a close that is repeated, which says again what was lost", async () => {
    const { alice, repl, id, registry } = await withSaves();
    for (let more = 1; more <= 2; more++) {
      repl.write("more", String(more));
      await repl.save();
    }
    const lastEnd = { sessionId: "s", lost: "What was written after save 4 is gone." };
    await registry.update(alice.owner.id, id, (record) => ({ ...record, lastEnd }));
    const answer: unknown = await (await alice.as("DELETE", `/api/repl/session/${id}`)).json();
    expect(answer).toMatchObject({ save: { generation: 4 }, lost: lastEnd.lost });
  });

  it("show what is in them", async () => {
    const { alice, path } = await withSaves();
    expect(await (await alice.as("GET", `${path}/1/files`)).json()).toMatchObject({
      generation: 1,
      entries: [
        { path: "..\\up", type: "file" },
        { path: "c:drive", type: "file" },
        { path: "grün & <b>.txt", type: "file", sizeBytes: 4 },
        { path: "link", type: "link", target: "src/main.py" },
        { path: "src", type: "folder" },
        { path: "src/main.py", type: "file" },
      ],
    });
  });

  it.each(["-1", "4102444800000000000", "9223372036854775807000000000", "-9223372036854775808000000000"])(
    "show and pack a file of any time, also one that no date can say (%s)",
    async (mtimeNs) => {
      const { alice, id, path, store } = await withSaves();
      const manifest = await store.getText(objectKey.save(id, 1));
      const changed = manifest?.text.replaceAll(/"mtimeNs":"\d+"/g, `"mtimeNs":"${mtimeNs}"`) ?? "";
      expect(changed).toContain(mtimeNs);
      await store.putText(objectKey.save(id, 1), changed);
      const files = await alice.as("GET", `${path}/1/files`);
      expect(files.status).toBe(200);
      for (const format of ["tar", "zip"]) {
        const archive = await alice.as("GET", `${path}/1/archive?format=${format}`);
        const file = join(newFolder(), "archive");
        writeFileSync(file, Buffer.from(await archive.arrayBuffer()));
        const list = format === "tar" ? ["tar", "-tf"] : ["python3", "-m", "zipfile", "-l"];
        expect(execFileSync(list[0] ?? "", [...list.slice(1), file], { encoding: "utf8" })).toContain("src/main.py");
      }
    },
  );

  it("name what could not be saved, and why", async () => {
    const { alice, path, repl } = await withSaves();
    repl.write("sparse", "");
    truncateSync(join(repl.root, "sparse"), 2 ** 40);
    await repl.save();
    const { saves } = (await (await alice.as("GET", path)).json()) as { saves: object[] };
    expect(saves[0]).toMatchObject({ generation: 3, notSaved: 1 });
    expect(saves[1]).not.toHaveProperty("notSaved");
    expect(await (await alice.as("GET", `${path}/3/files`)).json()).toMatchObject({
      notSaved: { count: 1, first: [{ path: "sparse", isKept: false }] },
    });
  });

  it("give any file of them, never as something that a browser shows", async () => {
    const { alice, path } = await withSaves();
    const first = await alice.as("GET", `${path}/1/files/src/main.py`);
    expect(await first.text()).toBe("print('first')");
    expect(Object.fromEntries(first.headers)).toMatchObject({
      "content-type": "application/octet-stream",
      "content-length": "14",
      "content-disposition": `attachment; filename="main.py"; filename*=UTF-8''main.py`,
    });
    expect(await (await alice.as("GET", `${path}/2/files/src/main.py`)).text()).toBe("print('second')");
    const odd = await alice.as("GET", `${path}/2/files/${encodeURIComponent("grün & <b>.txt")}`);
    expect(await odd.text()).toBe("text");
    expect(odd.headers.get("content-disposition")).toContain("gr_n _ _b_.txt");
    for (const [missing, words] of [
      ["src", "folder"],
      ["link", "link"],
      ["nothing", "no nothing"],
      ["../other", "no"],
      ["src/../src/main.py", "no"],
    ]) {
      const { status, detail } = await problemOf(
        await alice.as("GET", `${path}/1/files/${encodeURIComponent(missing ?? "")}`),
      );
      expect(status, missing).toBe(404);
      expect(detail).toContain(words);
    }
  });

  it.each([
    ["tar", ["tar", "-xf"]],
    ["zip", ["python3", "-m", "zipfile", "-e"]],
  ])("come as a %s", async (format, [command = "", ...args]) => {
    const { alice, path } = await withSaves();
    const response = await alice.as("GET", `${path}/1/archive?format=${format}`);
    expect(response.status).toBe(200);
    const [folder, target] = [newFolder(), newFolder()];
    writeFileSync(join(folder, "archive"), Buffer.from(await response.arrayBuffer()));
    const into = format === "tar" ? ["-C", target] : [target];
    execFileSync(command, [...args, join(folder, "archive"), ...into]);
    expect(
      execFileSync("cat", [join(target, "src/main.py"), join(target, "grün & <b>.txt")], { encoding: "utf8" }),
    ).toBe("print('first')text");
    const odd = format === "tar" ? ["..\\up", "c:drive"] : [".._up", "c_drive"];
    expect(readdirSync(target)).toEqual(expect.arrayContaining(odd));
    if (format === "tar")
      expect(execFileSync("readlink", [join(target, "link")], { encoding: "utf8" }).trim()).toBe("src/main.py");
  });

  it("keep every file in a zip, also where its names make two paths one", async () => {
    const { alice, path, repl } = await withSaves();
    for (const name of ["a\\b.txt", "a_b.txt", "c_drive", "d\\e"]) repl.write(name, `${name} is kept`);
    repl.write("d_e/f", "f is kept");
    await repl.save();
    const response = await alice.as("GET", `${path}/3/archive?format=zip`);
    const [folder, target] = [newFolder(), newFolder()];
    writeFileSync(join(folder, "archive"), Buffer.from(await response.arrayBuffer()));
    execFileSync("python3", ["-m", "zipfile", "-e", join(folder, "archive"), target]);
    const content = (name: string) => readFileSync(join(target, name), "utf8");
    expect(["a_b.txt", "a_b (2).txt", "c_drive (2)", "d_e (2)", "d_e/f"].map(content)).toEqual([
      "a\\b.txt is kept",
      "a_b.txt is kept",
      "c_drive is kept",
      "d\\e is kept",
      "f is kept",
    ]);
  });

  it("are what a REPL can go back to, and what a new one can begin with", async () => {
    const { alice, path, id, commands } = await withSaves();
    expect(await (await alice.as("POST", `${path}/1/restore`, {})).json()).toMatchObject({
      replId: id,
      save: { generation: 3 },
    });
    expect((await alice.as("POST", `${path}/1/restore`, { path: "src" })).status).toBe(200);
    for (const [body, status] of [
      [{ path: "/src" }, 400],
      [{ path: "" }, 400],
      [{ path: 7 }, 400],
    ] as const)
      expect((await alice.as("POST", `${path}/1/restore`, body)).status, JSON.stringify(body)).toBe(status);
    expect((await alice.as("POST", `${path}/9/restore`, {})).status).toBe(404);

    const copy = await alice.as("POST", "/api/repl/create", { name: "Copy", from: { replId: id, generation: 1 } });
    expect(copy.status).toBe(201);
    expect(await copy.json()).toMatchObject({ template: "node", name: "Copy" });
    const missing = await alice.as("POST", "/api/repl/create", { name: "Copy", from: { replId: id, generation: 8 } });
    expect(missing.status).toBe(404);
    expect((await alice.as("POST", "/api/repl/create", { name: "Copy" })).status).toBe(400);
    expect(commands).toEqual(["create", "restore", "restore", "create"]);
  });

  it("are nobody else's", async () => {
    const { person, path, id, call } = await withSaves();
    const eve = await person("eve");
    for (const what of ["", "/1/files", "/1/files/src/main.py", "/1/archive", "/x", "/1/files/"]) {
      expect((await eve.as("GET", path + what)).status, what).toBe(404);
      expect((await call("GET", path + what)).status, what).toBe(401);
    }
    expect((await eve.as("POST", `${path}/1/restore`, {})).status).toBe(404);
    expect((await eve.as("POST", "/api/repl/create", { name: "Copy", from: { replId: id } })).status).toBe(404);
  });

  it("are asked for by their number", async () => {
    const { alice, path } = await withSaves();
    for (const wrong of ["0", "-1", "1.5", "x", "99999999999999999999"]) {
      expect([400, 404], wrong).toContain((await alice.as("GET", `${path}/${wrong}/files`)).status);
      expect([400, 404], wrong).toContain((await alice.as("GET", `${path}/${wrong}/files/src/main.py`)).status);
    }
    expect((await alice.as("GET", `${path}?limit=0`)).status).toBe(400);
    expect((await alice.as("GET", `${path}?before=x`)).status).toBe(400);
  });
});
