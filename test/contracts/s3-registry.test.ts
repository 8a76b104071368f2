import { createObjectStoreRegistry } from "../../domain/object-store-registry.ts";
import { createSavePointer } from "../../domain/save-pointer.ts";
import { openStackBucket } from "../setup/stack-bucket.ts";
import { describeRegistry } from "./registry.ts";
import { describeSavePointer } from "./save-pointer.ts";

describeRegistry(async () => createObjectStoreRegistry(await openStackBucket()));
describeSavePointer(async () => {
  const store = await openStackBucket();
  const registry = createObjectStoreRegistry(store);
  return { store, registry, pointerFor: () => createSavePointer(registry) };
});
