import { ReplError } from "./errors.ts";
import { objectKey } from "./naming.ts";
import type { ObjectStore, RegistryHome } from "./ports.ts";

const names: Readonly<Record<RegistryHome, string>> = { bucket: "the bucket itself", postgres: "Postgres" };

/** What says whether a bucket may be begun: made where there is none, and taken for a new one where it is empty. */
export interface Beginning {
  readonly hasSessions: boolean;
  /** A registry outside of the bucket names REPLs. */
  readonly hasRecords?: boolean;
  /** What the operator says. */
  readonly mayBegin?: boolean;
}

/** Why no bucket may be begun, in words; undefined when one may. */
export function beginningRefused({ hasSessions, hasRecords = false, mayBegin = true }: Beginning): string | undefined {
  if (hasSessions) return "and yet sessions run";
  if (hasRecords) return "and yet Postgres has records of REPLs";
  return mayBegin ? undefined : "and no new one may be begun (S3_CREATE_BUCKET)";
}

type HomeStore = Pick<ObjectStore, "getText" | "putText" | "list">;

/**
 * What keeps this bucket from being served with its records in `home`, in words; undefined when nothing does. A bucket
 * says where its records are, so that nobody serves it with an empty registry and takes its files for nobody's. The note
 * is also the sentinel by which an empty bucket is told from a wrong one, so `beginning` is for the worker alone: where
 * nothing is noted, that notes it, but not in an empty bucket where none may be begun. Without it, an unnoted home throws
 * `unavailable`: a worker has yet to start.
 */
export async function registryProblem(
  store: HomeStore,
  home: RegistryHome,
  beginning?: Beginning,
): Promise<string | undefined> {
  const known = (await readRegistryHome(store)) ?? (await firstHome(store, home, beginning));
  if (known === home) return undefined;
  if (known === undefined)
    return (
      `The bucket holds no records and no note of where they are (${objectKey.registryHome}), ` +
      `${beginning && beginningRefused(beginning)}: is it the right bucket, and is its disk there? Nothing was changed ` +
      `in it. If it is right, put "${home}" into ${objectKey.registryHome} yourself.`
    );
  return (
    `The records of this bucket's REPLs are in ${names[known]}, and the configuration says ${names[home]}: ` +
    `${known === "postgres" ? "set DATABASE_URL" : "leave DATABASE_URL out"}, or move them (npm run registry -- --help).`
  );
}

/** Of a release that knew no other place, or of nobody yet. */
async function firstHome(
  store: HomeStore,
  home: RegistryHome,
  beginning: Beginning | undefined,
): Promise<RegistryHome | undefined> {
  if (!beginning)
    throw new ReplError(
      "unavailable",
      "Nobody has noted yet where this bucket's records are: a worker does at its start.",
    );
  const hasRecords = (await store.list(objectKey.allRecords, { unproven: true })).length > 0;
  if (!hasRecords && beginningRefused(beginning) !== undefined) return undefined;
  const first = hasRecords ? "bucket" : home;
  if (first === home) await noteRegistryHome(store, home);
  return first;
}

/** Undefined where nobody has noted it. */
export async function readRegistryHome(store: Pick<ObjectStore, "getText">): Promise<RegistryHome | undefined> {
  const text = (await store.getText(objectKey.registryHome))?.text.trim();
  return text === "bucket" || text === "postgres" ? text : undefined;
}

export async function noteRegistryHome(store: Pick<ObjectStore, "putText">, home: RegistryHome): Promise<void> {
  await store.putText(objectKey.registryHome, home);
}
