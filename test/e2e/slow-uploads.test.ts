import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { newPerson, openEditor, shell } from "./flow.ts";

/** Longer than the minute that ingress controllers have as a default; more than five is what Node has. */
const seconds = Number(process.env["DEVEX_UPLOAD_SECONDS"] ?? 65);

it(`a file whose upload takes ${seconds} s arrives whole`, { timeout: (seconds + 60) * 1000 }, async () => {
  const api = await newPerson();
  const { id } = await api.create("node", "Slow");
  const editor = await openEditor(api, id);
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent === seconds) return controller.close();
      controller.enqueue(Buffer.alloc(1000, sent++));
      await delay(1000);
    },
  });
  const request: RequestInit & { duplex: "half" } = { method: "PUT", body, duplex: "half" };
  const response = await fetch(`${editor.url}api/v1/files/large.bin?ticket=${editor.ticket}`, request);
  expect(response.ok).toBe(true);
  expect(await shell(editor, "stat -c %s large.bin")).toBe(String(seconds * 1000));
  await api.remove(id);
});
