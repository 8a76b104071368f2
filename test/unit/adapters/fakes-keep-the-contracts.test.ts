import { createObjectStoreRegistry } from "../../../domain/object-store-registry.ts";
import { sessionObjects } from "../../../manifests/session-objects.ts";
import { saveContainer } from "../../../manifests/sync-container.ts";
import { describeCluster } from "../../contracts/cluster.ts";
import { describeObjectStore } from "../../contracts/object-store.ts";
import { describeRegistry } from "../../contracts/registry.ts";
import { describeOlderReplDirectory, describeReplDirectory } from "../../contracts/repl-directory.ts";
import { describeReplEvents } from "../../contracts/repl-events.ts";
import { describeTokenCache } from "../../contracts/token-cache.ts";
import { createFakeCluster } from "../../fakes/cluster.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newStart, testSettings } from "../../fakes/records.ts";
import { createFakeReplEvents } from "../../fakes/repl-events.ts";
import { createFakeTokenCache } from "../../fakes/token-cache.ts";
import { createFakeReplDirectory } from "../../fakes/repl-directory.ts";

describeObjectStore(() => createFakeObjectStore().store);
describeRegistry(async () => createObjectStoreRegistry(createFakeObjectStore().store));
describeReplEvents(createFakeReplEvents);
const tokens = createFakeTokenCache();
describeTokenCache(() => tokens.cache);
describeReplDirectory(async (readTruth) => {
  const { directory, flush } = createFakeReplDirectory(readTruth);
  return { directory, flush: async () => flush() };
});
describeOlderReplDirectory(async (readTruth) => {
  const { directory, dump } = createFakeReplDirectory(readTruth);
  return {
    directory: () => directory,
    async comeBackOlder(meanwhile) {
      const comeBack = dump();
      await meanwhile();
      comeBack();
    },
  };
});
describeCluster(() => ({
  cluster: createFakeCluster().cluster,
  async prepare() {
    const start = newStart();
    return {
      session: start.session,
      manifests: sessionObjects({ ...start, runnerToken: "token" }, { accessKey: "a", secretKey: "b" }, testSettings),
      saveContainer: (name) => saveContainer(start.session, testSettings, name),
    };
  },
}));
