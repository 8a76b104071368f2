import { setTimeout as delay } from "node:timers/promises";
import {
  CoreV1Api,
  KubeConfig,
  makeInformer,
  NetworkingV1Api,
  type Informer,
  type KubernetesObject,
  type V1NetworkPolicy,
  type V1Pod,
} from "@kubernetes/client-node";
import { messageOf } from "../../domain/errors.ts";
import { run } from "./commands.ts";
import { rulesOf } from "./policy-rules.ts";

/**
 * Makes the node keep to the NetworkPolicies of its namespaces:
 * policy-controller.ts KUBECONFIG TABLE BRIDGE SUBNET NAMESPACE OTHER
 * A pod that is not yet known to be of the other one is held to the policies of the first.
 */

const [kubeconfig = "", table = "", bridge = "", subnet = "", namespace = "", other = ""] = process.argv.slice(2);
const retryMs = 1000;

const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const networking = config.makeApiClient(NetworkingV1Api);
const core = config.makeApiClient(CoreV1Api);
let last = Promise.resolve();
let inForce = "";

const policiesOf = (name: string) =>
  follow<V1NetworkPolicy>(
    makeInformer(config, `/apis/networking.k8s.io/v1/namespaces/${name}/networkpolicies`, () =>
      networking.listNamespacedNetworkPolicy({ namespace: name }),
    ),
  );
const own = policiesOf(namespace);
const others = policiesOf(other);
const pods = follow<V1Pod>(
  makeInformer(config, `/api/v1/namespaces/${other}/pods`, () => core.listNamespacedPod({ namespace: other })),
);

/** Rules that could not be made leave those before in force. */
function enforce(): void {
  const addresses = [...pods.values()].flatMap(({ spec, status }) =>
    status?.podIP && !spec?.hostNetwork && status.phase !== "Succeeded" && status.phase !== "Failed"
      ? [status.podIP]
      : [],
  );
  const place = { table, bridge, subnet };
  last = last
    .then(async () => {
      const rules = rulesOf([...own.values()], place, [{ addresses, policies: [...others.values()] }]);
      if (rules === inForce) return;
      await run("nft", ["-f", "-"], { input: rules });
      inForce = rules;
      console.log(`${own.size} policies in force, ${addresses.length} pods of ${other}`);
    })
    .catch((error: unknown) => console.error(messageOf(error)));
}

/** All objects of a kind, by name, as they are now; what changes is enforced. */
function follow<Kind extends KubernetesObject>(informer: Informer<Kind>): ReadonlyMap<string, Kind> {
  const found = new Map<string, Kind>();
  const set = (object: Kind) => {
    found.set(object.metadata?.name ?? "", object);
    enforce();
  };
  informer.on("add", set);
  informer.on("update", set);
  informer.on("delete", (object) => {
    found.delete(object.metadata?.name ?? "");
    enforce();
  });
  // Until the API server answers, the rules stay as they are.
  const start = async (): Promise<void> => {
    for (;;) {
      try {
        return await informer.start();
      } catch (error) {
        console.error(messageOf(error));
        await delay(retryMs);
      }
    }
  };
  informer.on("error", (error: unknown) => {
    console.error(messageOf(error));
    setTimeout(() => void start(), retryMs);
  });
  void start();
  return found;
}
