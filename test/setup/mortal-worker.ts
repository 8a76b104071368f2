import { appendFileSync, readFileSync } from "node:fs";
import { Worker, type WorkerOptions } from "@temporalio/worker";

/**
 * Loaded before a worker's own program: the worker kills itself, as `kill -9` does, beside the steps that
 * DEVEX_DEATHS names, each once and each beside another workflow. What has happened is in the file DEVEX_DEATHS_FILE,
 * because a worker that is started again goes on with the rest.
 */

export interface Death {
  readonly workflowType: string;
  readonly step: string;
  readonly when: "before" | "after";
}

export interface Died extends Death {
  readonly workflowId: string;
}

const planned = JSON.parse(process.env["DEVEX_DEATHS"] ?? "[]") as Death[];
const file = process.env["DEVEX_DEATHS_FILE"] ?? "";

export function readDeaths(from: string): Died[] {
  return readFileSync(from, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Died);
}

function dieIfPlanned(at: Died): void {
  const { workflowType, step, when, workflowId } = at;
  const isThis = (death: Death) => death.workflowType === workflowType && death.step === step && death.when === when;
  const died = readDeaths(file);
  if (!planned.some(isThis) || died.some((death) => isThis(death) || death.workflowId === workflowId)) return;
  appendFileSync(file, `${JSON.stringify(at)}\n`);
  process.kill(process.pid, "SIGKILL");
}

if (planned.length > 0) {
  const create = Worker.create.bind(Worker);
  Worker.create = (options: WorkerOptions) =>
    create({
      ...options,
      interceptors: {
        ...options.interceptors,
        activity: [
          ...(options.interceptors?.activity ?? []),
          ({ info: { workflowType, activityType: step, workflowExecution } }) => ({
            inbound: {
              async execute(input, next) {
                const at = { workflowType: workflowType ?? "", step, workflowId: workflowExecution?.workflowId ?? "" };
                dieIfPlanned({ ...at, when: "before" });
                const result = await next(input);
                dieIfPlanned({ ...at, when: "after" });
                return result;
              },
            },
          }),
        ],
      },
    });
}
