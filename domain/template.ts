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
  /** Image of the user's container; the deployment's runner image when absent. */
  readonly image?: string;
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
