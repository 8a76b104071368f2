import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import * as k8s from "@kubernetes/client-node";
import { label } from "../domain/naming.ts";

/** Looks at the cluster and the bucket with clients of its own, so that what it sees does not rest on the code it checks. */
export function createInspector(environment: Readonly<Record<string, string>>) {
  const need = (name: string) => environment[name] ?? "";
  const config = new k8s.KubeConfig();
  config.loadFromFile(need("KUBECONFIG"));
  const core = config.makeApiClient(k8s.CoreV1Api);
  const apps = config.makeApiClient(k8s.AppsV1Api);
  const networking = config.makeApiClient(k8s.NetworkingV1Api);
  const s3 = new S3Client({
    endpoint: need("S3_ENDPOINT"),
    region: need("S3_REGION"),
    forcePathStyle: true,
    credentials: { accessKeyId: need("S3_ACCESS_KEY"), secretAccessKey: need("S3_SECRET_KEY") },
  });
  const bucket = need("S3_BUCKET");
  const namespace = need("REPL_NAMESPACE");

  return {
    core,
    namespace,
    /** Every object of a REPL that the cluster still has, as kind/name; pods on their way out included. */
    async objectsOf(replId: string): Promise<string[]> {
      const selected = { namespace, labelSelector: `${label.replId}=${replId}` };
      const lists = await Promise.all([
        apps
          .listNamespacedDeployment(selected)
          .then(({ items }) => items.map((item) => `Deployment/${item.metadata?.name}`)),
        core.listNamespacedService(selected).then(({ items }) => items.map((item) => `Service/${item.metadata?.name}`)),
        core.listNamespacedSecret(selected).then(({ items }) => items.map((item) => `Secret/${item.metadata?.name}`)),
        networking
          .listNamespacedIngress(selected)
          .then(({ items }) => items.map((item) => `Ingress/${item.metadata?.name}`)),
        core.listNamespacedPod(selected).then(({ items }) => items.map((item) => `Pod/${item.metadata?.name}`)),
      ]);
      return lists.flat();
    },
    /** Whatever is open, of whomever. */
    async sessions(): Promise<{ readonly id: string; readonly replId: string; readonly userId: string }[]> {
      const { items } = await apps.listNamespacedDeployment({ namespace });
      return items.map(({ metadata: { labels = {} } = {} }) => ({
        id: labels[label.sessionId] ?? "",
        replId: labels[label.replId] ?? "",
        userId: labels[label.userId] ?? "",
      }));
    },
    async keysUnder(prefix: string): Promise<string[]> {
      const answer = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
      return (answer.Contents ?? []).flatMap((object) => object.Key ?? []);
    },
    async textOf(key: string): Promise<string> {
      const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return (await answer.Body?.transformToString()) ?? "";
    },
  };
}

export type Inspector = ReturnType<typeof createInspector>;
