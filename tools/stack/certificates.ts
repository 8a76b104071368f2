import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./commands.ts";
import { portOf, type StackSettings } from "./settings.ts";

/** First address of the range that kube-apiserver gives to Services; the API server itself answers there. */
export const firstServiceAddress = "10.212.0.1";
export const serviceRange = "10.212.0.0/16";

const clients = {
  admin: "/O=system:masters/CN=devex-admin",
  "kubelet-client": "/O=system:masters/CN=kube-apiserver-kubelet-client",
  "controller-manager": "/CN=system:kube-controller-manager",
  scheduler: "/CN=system:kube-scheduler",
  kubelet: "/O=system:nodes/CN=system:node:devex",
} as const;

export function certificateFile(stack: StackSettings, name: string, kind: "crt" | "key"): string {
  return join(stack.folder, "pki", `${name}.${kind}`);
}

export function kubeconfigFile(stack: StackSettings, client: keyof typeof clients = "admin"): string {
  return join(stack.folder, "pki", `${client}.kubeconfig`);
}

/** Makes one authority, the servers' certificates and a kubeconfig for each client. Kept when there already. */
export async function createCertificates(stack: StackSettings): Promise<string | undefined> {
  const folder = join(stack.folder, "pki");
  if (existsSync(kubeconfigFile(stack))) return "kept";
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = (name: string, kind: "crt" | "key") => certificateFile(stack, name, kind);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await run("openssl", [
    "req",
    "-x509",
    ...newKey,
    "-days",
    "3650",
    "-subj",
    "/CN=devex-authority",
    "-keyout",
    file("ca", "key"),
    "-out",
    file("ca", "crt"),
  ]);

  const issue = async (name: string, subject: string, extensions: string) => {
    const request = await run("openssl", ["req", "-new", ...newKey, "-subj", subject, "-keyout", file(name, "key")]);
    const settings = join(folder, `${name}.ext`);
    writeFileSync(settings, extensions);
    const authority = [
      "-CA",
      file("ca", "crt"),
      "-CAkey",
      file("ca", "key"),
      "-CAcreateserial",
      "-CAserial",
      join(folder, `${name}.srl`),
    ];
    await run(
      "openssl",
      ["x509", "-req", "-days", "3650", ...authority, "-extfile", settings, "-out", file(name, "crt")],
      { input: request },
    );
  };
  const names = `subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:${firstServiceAddress}`;
  await Promise.all([
    issue("apiserver", "/CN=kube-apiserver", `${names}\nextendedKeyUsage=serverAuth`),
    issue("kubelet-server", "/CN=devex", `subjectAltName=DNS:devex,IP:127.0.0.1\nextendedKeyUsage=serverAuth`),
    ...Object.entries(clients).map(([name, subject]) => issue(name, subject, "extendedKeyUsage=clientAuth")),
    run("openssl", ["genrsa", "-out", join(folder, "service-accounts.key"), "2048"]),
  ]);
  for (const client of Object.keys(clients) as (keyof typeof clients)[]) {
    const encoded = (name: string, kind: "crt" | "key") => readFileSync(file(name, kind)).toString("base64");
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "devex",
      contexts: [{ name: "devex", context: { cluster: "devex", user: client } }],
      clusters: [
        {
          name: "devex",
          cluster: {
            server: `https://127.0.0.1:${portOf(stack, "apiServer")}`,
            "certificate-authority-data": encoded("ca", "crt"),
          },
        },
      ],
      users: [
        {
          name: client,
          user: { "client-certificate-data": encoded(client, "crt"), "client-key-data": encoded(client, "key") },
        },
      ],
    };
    writeFileSync(kubeconfigFile(stack, client), JSON.stringify(config), { mode: 0o600 });
  }
  return undefined;
}
