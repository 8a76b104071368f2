import { objectKey } from "./naming.ts";
import type { ObjectStore, RegistryHome } from "./ports.ts";

const names: Readonly<Record<RegistryHome, string>> = { bucket: "the bucket itself", postgres: "Postgres" };

type HomeStore = Pick<ObjectStore, "getText" | "putText" | "list">;

/**
 * What keeps this bucket from being served with its records in `home`, in words; undefined when nothing does. A bucket
 * says where its records are, so that nobody serves it with an empty registry and takes its files for nobody's.
 */
export async function registryProblem(store: HomeStore, home: RegistryHome): Promise<string | undefined> {
  const noted = await readRegistryHome(store);
  if (noted === home) return undefined;
  // Of a release that knew no other place, or of nobody yet.
  const known = noted ?? ((await store.list(objectKey.allRecords)).length > 0 ? "bucket" : home);
  if (known === home) {
    await noteRegistryHome(store, home);
    return undefined;
  }
  return (
    `The records of this bucket's REPLs are in ${names[known]}, and the configuration says ${names[home]}: ` +
    `${known === "postgres" ? "set DATABASE_URL" : "leave DATABASE_URL out"}, or move them (npm run registry -- --help).`
  );
}

/** Undefined where nobody has noted it. */
export async function readRegistryHome(store: Pick<ObjectStore, "getText">): Promise<RegistryHome | undefined> {
  const text = (await store.getText(objectKey.registryHome))?.text;
  return text === "bucket" || text === "postgres" ? text : undefined;
}

export async function noteRegistryHome(store: Pick<ObjectStore, "putText">, home: RegistryHome): Promise<void> {
  await store.putText(objectKey.registryHome, home);
}
