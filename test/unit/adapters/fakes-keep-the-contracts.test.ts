import { sessionObjects } from "../../../manifests/session-objects.ts";
import { saveContainer } from "../../../manifests/sync-container.ts";
import { describeCluster } from "../../contracts/cluster.ts";
import { describeObjectStore } from "../../contracts/object-store.ts";
import { describeReplDirectory } from "../../contracts/repl-directory.ts";
import { createFakeCluster } from "../../fakes/cluster.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { newStart, testSettings } from "../../fakes/records.ts";
import { createFakeReplDirectory } from "../../fakes/repl-directory.ts";

describeObjectStore(() => createFakeObjectStore().store);
describeReplDirectory(() => createFakeReplDirectory().directory);
describeCluster(() => ({
  cluster: createFakeCluster().cluster,
  async prepare() {
    const start = newStart();
    return {
      session: start.session,
      manifests: sessionObjects(start, { accessKey: "a", secretKey: "b" }, testSettings),
      saveContainer: (name) => saveContainer(start.session, testSettings, name),
    };
  },
}));
