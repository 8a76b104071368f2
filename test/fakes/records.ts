import { randomUUID } from "node:crypto";
import type { StartInput } from "../../activities/inputs.ts";
import type { ReplRecord, Session, User } from "../../domain/repl.ts";
import type { ClusterSettings } from "../../manifests/settings.ts";
import type { PublishedTemplate } from "../../domain/template.ts";

/** Things of the domain for tests; every one is new, so that no two tests meet on one server. */

export function newUser(login = `user-${randomUUID().slice(0, 8)}`): User {
  return { id: String(Math.floor(Math.random() * 1e12)), login };
}

export function newRecord(changes: Partial<ReplRecord> = {}): ReplRecord {
  return {
    id: `repl-${randomUUID().slice(0, 13)}`,
    name: "A name",
    owner: newUser(),
    template: "node",
    createdAt: new Date().toISOString(),
    ...changes,
  };
}

export function newSession(record: ReplRecord): Session {
  return { id: `s${randomUUID().slice(0, 12)}`, replId: record.id, userId: record.owner.id };
}

export const nodeTemplate: PublishedTemplate = {
  name: "node",
  title: "Node.js",
  description: "A server",
  language: "javascript",
  run: "node server.js",
  ports: [3000],
  environment: { NODE_ENV: "development" },
  resources: { cpuRequest: "100m", cpuLimit: "1", memoryRequest: "128Mi", memoryLimit: "1Gi", diskLimit: "5Gi" },
  digest: "digest0",
};

export function newStart(changes: Partial<StartInput> = {}): StartInput {
  const repl = changes.repl ?? newRecord();
  return { repl, session: newSession(repl), template: nodeTemplate, ticketKey: "{}", ...changes };
}

export const testSettings: ClusterSettings = {
  namespace: "ns",
  ingressClass: "class",
  runnerUrl: "http://localhost:20008",
  runnerImage: "runner:1",
  syncImage: "sync:1",
  savePointer: "store",
  checkpointSeconds: 10,
  ingressNamespace: "traefik",
  podDns: ["169.254.20.10/32"],
  podEgress: [{ cidr: "10.0.0.9/32", port: 9000 }],
  allowedOrigins: ["http://localhost:3000"],
  objectStore: { endpoint: "http://s3", region: "r", bucket: "b" },
};
