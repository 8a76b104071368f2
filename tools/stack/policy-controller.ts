import { setTimeout as delay } from "node:timers/promises";
import { KubeConfig, makeInformer, NetworkingV1Api, type V1NetworkPolicy } from "@kubernetes/client-node";
import { messageOf } from "../../domain/errors.ts";
import { run } from "./commands.ts";
import { rulesOf } from "./policy-rules.ts";

/** Makes the node keep to the NetworkPolicies of a namespace: policy-controller.ts KUBECONFIG NAMESPACE TABLE BRIDGE SUBNET */

const [kubeconfig = "", namespace = "", table = "", bridge = "", subnet = ""] = process.argv.slice(2);
const retryMs = 1000;

const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const api = config.makeApiClient(NetworkingV1Api);
const informer = makeInformer(config, `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`, () =>
  api.listNamespacedNetworkPolicy({ namespace }),
);
const policies = new Map<string, V1NetworkPolicy>();
let last = Promise.resolve();

/** Rules that could not be made leave those before in force. */
function enforce(): void {
  const now = [...policies.values()];
  last = last
    .then(() => run("nft", ["-f", "-"], { input: rulesOf(now, { table, bridge, subnet }) }))
    .then(
      () => console.log(`${now.length} policies in force`),
      (error: unknown) => console.error(messageOf(error)),
    );
}

const nameOf = (policy: V1NetworkPolicy) => policy.metadata?.name ?? "";
const set = (policy: V1NetworkPolicy) => {
  policies.set(nameOf(policy), policy);
  enforce();
};
informer.on("add", set);
informer.on("update", set);
informer.on("delete", (policy) => {
  policies.delete(nameOf(policy));
  enforce();
});
informer.on("error", (error: unknown) => {
  console.error(messageOf(error));
  setTimeout(() => void start(), retryMs);
});

/** Until the API server answers, the rules stay as they are. */
async function start(): Promise<void> {
  for (;;) {
    try {
      await informer.start();
      return;
    } catch (error) {
      console.error(messageOf(error));
      await delay(retryMs);
    }
  }
}

await start();
