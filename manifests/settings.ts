import type { PublishedTemplate } from "../domain/template.ts";
import type { ReplRecord, Session } from "../domain/repl.ts";

/** What the deployment decides for every REPL; from configuration. */
export interface ClusterSettings {
  readonly namespace: string;
  readonly ingressClass: string;
  readonly runnerUrl: string;
  /** Below it each port of a template has a host of its own; without it previews lie below the access path. */
  readonly previewDomain?: string | undefined;
  readonly runnerImage: string;
  readonly syncImage: string;
  /** Where runners reach the API; without it they report nothing. */
  readonly runnerApiUrl?: string | undefined;
  /** Whom sync containers ask for the newest save: the bucket, or the API before a database. */
  readonly savePointer: "store" | "api";
  /** How long a change waits for its checkpoint at most, but for the time the checkpoint itself takes. */
  readonly checkpointSeconds: number;
  readonly runtimeClass?: string | undefined;
  /** Origins whose pages may open a REPL's sockets. */
  readonly allowedOrigins: readonly string[];
  /** Of the ingress controller: the only one whose pods reach those of REPLs. */
  readonly ingressNamespace: string;
  /** What REPLs reach of private networks: the object store, and the API for what runners report. */
  readonly podEgress: readonly { readonly cidr: string; readonly port?: number }[];
  /** Name servers besides those in kube-system, as networks. */
  readonly podDns: readonly string[];
  readonly objectStore: { readonly endpoint?: string | undefined; readonly region: string; readonly bucket: string };
}

/** Everything a session's objects are made of. */
export interface SessionPlan {
  readonly repl: ReplRecord;
  readonly session: Session;
  readonly template: PublishedTemplate;
  /** Public half of the key that signs access tickets, as a JWK in JSON. */
  readonly ticketKey: string;
  /** With which the session's runner speaks to the API. */
  readonly runnerToken: string;
}
