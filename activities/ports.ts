import type {
  Cluster,
  Credentials,
  Limits,
  ObjectStore,
  Registry,
  ReplDirectory,
  ReplEvents,
  Uploads,
} from "../domain/ports.ts";
import type { Session } from "../domain/repl.ts";
import type { Lifetimes } from "../domain/session-review.ts";
import type { ClusterSettings } from "../manifests/settings.ts";
import type { KubernetesObject, V1EphemeralContainer } from "@kubernetes/client-node";

/** Everything the activities speak to; the worker's main puts the real things in, tests put fakes. */
export interface Ports {
  readonly store: ObjectStore;
  /** Absent where the store has none. */
  readonly uploads?: Uploads;
  readonly registry: Registry;
  readonly cluster: Cluster<KubernetesObject, V1EphemeralContainer>;
  readonly directory: ReplDirectory;
  readonly events: Pick<ReplEvents, "publish">;
  readonly credentials: Credentials;
  readonly runnerTokenFor: (session: Session) => string;
  readonly settings: ClusterSettings;
  readonly limits: Limits;
  readonly lifetimes: Lifetimes;
  /** Asks the access path from outside; true when the runner of this session answers. */
  readonly probe: (url: string, sessionId: string, signal: AbortSignal) => Promise<boolean>;
}
