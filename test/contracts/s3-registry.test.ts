import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { createObjectStoreRegistry } from "../../domain/object-store-registry.ts";
import { createSavePointer } from "../../domain/save-pointer.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";
import { describeRegistry } from "./registry.ts";
import { describeSavePointer } from "./save-pointer.ts";

describeRegistry(async () => createObjectStoreRegistry(createS3ObjectStore(stackObjectStore())));
describeSavePointer(async () => {
  const store = createS3ObjectStore(stackObjectStore());
  const registry = createObjectStoreRegistry(store);
  return { store, registry, pointerFor: () => createSavePointer(registry) };
});
