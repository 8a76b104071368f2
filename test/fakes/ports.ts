import { fenced } from "../../activities/lease.ts";
import type { Ports } from "../../activities/ports.ts";
import type { ReplEvent } from "../../domain/events.ts";
import { createObjectStoreRegistry } from "../../domain/object-store-registry.ts";
import { createReadTruth } from "../../domain/truth.ts";
import { createFakeCluster, type FakePodPrograms } from "./cluster.ts";
import { createFakeObjectStore } from "./object-store.ts";
import { testSettings } from "./records.ts";
import { createFakeReplDirectory } from "./repl-directory.ts";

/** The three that the activities reach over the network: what stands before each call of theirs. */
export type Outside = <Port extends object>(name: "store" | "cluster" | "directory", port: Port) => Port;

/** Everything the activities speak to, in memory. */
export function createFakePorts(programs?: Partial<FakePodPrograms>, outside: Outside = (_name, port) => port) {
  const objects = createFakeObjectStore();
  const store = fenced(outside("store", objects.store));
  const registry = createObjectStoreRegistry(store);
  const machines = createFakeCluster(programs);
  const lookUps = createFakeReplDirectory(createReadTruth(registry, machines.cluster, testSettings.runnerUrl));
  const told: { readonly replId: string; readonly event: ReplEvent }[] = [];
  const ports: Ports = {
    store,
    registry,
    cluster: outside("cluster", machines.cluster),
    directory: outside("directory", lookUps.directory),
    events: { publish: (replId, event) => told.push({ replId, event }) },
    credentials: { issue: async () => ({ accessKey: "AK", secretKey: "SK" }) },
    runnerTokenFor: ({ id }) => `token of ${id}`,
    settings: testSettings,
    limits: { maxRepls: 3, maxActive: 2 },
    lifetimes: { idleSeconds: 1800, maximumSeconds: 43_200 },
    probe: async () => true,
  };
  return { ports, objects, lookUps, machines, told };
}
