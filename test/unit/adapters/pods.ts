import type { V1Pod } from "@kubernetes/client-node";

/** A pod as the API server shows it, with no more than what a test looks at. */
export const pod = (status: V1Pod["status"], spec?: Partial<V1Pod["spec"]>): V1Pod => ({
  metadata: { name: "p" },
  spec: { containers: [], ...spec },
  status: status ?? {},
});
export const container = (name: string, state: object, more: object = {}) => ({
  name,
  state,
  image: "",
  imageID: "",
  ready: false,
  restartCount: 0,
  ...more,
});
