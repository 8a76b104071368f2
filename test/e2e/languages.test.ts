import { describe, expect, it, vi } from "vitest";
import { loadTemplates } from "../../config/templates.ts";
import { newPerson, openEditor, shell } from "./flow.ts";

const patience = { timeout: 60_000, interval: 500 };

describe("each template", () => {
  it.each(loadTemplates().map(({ name, run, ports }) => ({ name, run, port: ports[0] })))(
    "$name runs by its command as it comes, and is seen in the preview",
    async ({ name, run, port }) => {
      const api = await newPerson();
      const { id } = await api.create(name, `A ${name}`);
      const editor = await openEditor(api, id);
      expect(await shell(editor, "test -s README.md && echo there")).toBe("there");
      await shell(editor, `(${run} > /tmp/output 2>&1 &)`);
      const page = await vi.waitFor(async () => {
        const response = await fetch(`${editor.url}user-app/${port}/`, {
          headers: { cookie: `devex_repl=${editor.ticket}` },
        });
        expect(response.status, await shell(editor, "tail -n 20 /tmp/output")).toBe(200);
        return response.text();
      }, patience);
      expect(page).toContain("Hello from");
      await api.remove(id);
    },
  );
});
