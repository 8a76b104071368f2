import { Client, Connection } from "@temporalio/client";
import { workflowIdOf } from "../domain/naming.ts";

export interface Step {
  readonly name: string;
  readonly ms: number;
}

let client: Client | undefined;

/** Where the time of the newest workflow of a REPL went: each activity, and what lies between them. */
export async function readWorkflowSteps(
  environment: Readonly<Record<string, string>>,
  replId: string,
): Promise<Step[]> {
  client ??= new Client({
    connection: await Connection.connect({ address: environment["TEMPORAL_ADDRESS"] ?? "" }),
    namespace: environment["TEMPORAL_NAMESPACE"] ?? "default",
  });
  const { events } = await client.workflow.getHandle(workflowIdOf(replId)).fetchHistory();
  const at = (event: { eventTime?: { seconds?: unknown; nanos?: number | null } | null }) =>
    Number(event.eventTime?.seconds ?? 0) * 1000 + (event.eventTime?.nanos ?? 0) / 1e6;
  const list = events ?? [];
  const names = new Map<string, string>();
  const starts = new Map<string, number>();
  const steps: Step[] = [];
  for (const event of list) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) names.set(String(event.eventId), scheduled.activityType?.name ?? "");
    const began = event.activityTaskStartedEventAttributes;
    if (began) starts.set(String(began.scheduledEventId), at(event));
    const ended = event.activityTaskCompletedEventAttributes;
    if (ended) {
      const id = String(ended.scheduledEventId);
      steps.push({ name: names.get(id) ?? "", ms: at(event) - (starts.get(id) ?? at(event)) });
    }
  }
  const [first, last] = [list[0], list.at(-1)];
  const whole = first && last ? at(last) - at(first) : 0;
  return [...steps, { name: "between the steps", ms: whole - steps.reduce((sum, { ms }) => sum + ms, 0) }];
}
