/** What a template declares in its template.json; the rest of its folder is what a new REPL starts with. */
export interface Template {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly language: string;
  /** Shown as the Run button's command. */
  readonly run: string;
  /** Ports its program listens on. */
  readonly ports: readonly number[];
  readonly environment: Readonly<Record<string, string>>;
  readonly resources: Resources;
  /** Image of the user's container, with the runner in it; the deployment's runner image when absent. */
  readonly image?: string | undefined;
  /** Instead of an image of its own: the one beside the deployment's runner image that has this toolchain. */
  readonly toolchain?: string | undefined;
  /** For programs that cannot do with a root file system that is read-only. */
  readonly writableRoot?: boolean | undefined;
}

export interface Resources {
  /** Kubernetes quantities, such as 500m. */
  readonly cpuRequest: string;
  readonly cpuLimit: string;
  readonly memoryRequest: string;
  readonly memoryLimit: string;
  /** With a binary suffix, such as 5Gi. */
  readonly diskLimit: string;
}

/** A template and the digest of all its files, under which it is published. */
export interface PublishedTemplate extends Template {
  readonly digest: string;
}

export const templateDefinitionFile = "template.json";
