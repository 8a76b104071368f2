import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createMetrics } from "../../api/metrics.ts";
import { commandExists, run } from "../../tools/stack/commands.ts";
import { installPackages } from "../../tools/stack/packages.ts";
import { createWorkerMetrics } from "../../worker/metrics.ts";

const folder = join(import.meta.dirname, "../../deploy/monitoring");
const promtool = (...args: string[]) => run("promtool", args, { cwd: folder });
const rules = readFileSync(join(folder, "alerts.yaml"), "utf8");
const dashboard = readFileSync(join(folder, "dashboard.json"), "utf8");

describe("alerts and dashboard", () => {
  beforeAll(async () => {
    if (!(await commandExists("promtool"))) await installPackages(["prometheus"]);
  }, 120_000);

  it("are silent on a good day, and each fires on a bad one", async () => {
    expect(await promtool("check", "rules", "alerts.yaml")).toContain("SUCCESS");
    expect(await promtool("test", "rules", "alerts.test.yaml")).toContain("SUCCESS");
  });

  it("ask for what API and worker count, and for nothing else of ours", async () => {
    const counted =
      (await createMetrics({ eventListeners: () => 0 }).render()) +
      (await createWorkerMetrics(async () => "").render());
    const known = new Set([...counted.matchAll(/^# TYPE (devex_\w+)/gm)].map(([, name]) => name));
    const asked = [...(rules + dashboard).matchAll(/\bdevex_\w+/g)].map(([name]) =>
      name.replace(/_(bucket|count|sum)$/, ""),
    );
    expect([...new Set(asked)].filter((name) => !known.has(name))).toEqual([]);
    expect([...known].filter((name) => !asked.includes(name ?? "")).sort()).toEqual([
      "devex_closing_saved_files_total",
    ]);
  });

  it("say in the runbook what to do about each alert", () => {
    const runbook = readFileSync(join(folder, "../../docs/operations.md"), "utf8");
    for (const [, alert] of rules.matchAll(/alert: (\w+)/g)) expect(runbook).toContain(`\`${alert}\``);
  });
});
