import { Hono } from "hono";
import type { Env } from "../env.ts";

/** Documents by which the object store's token service checks the tokens that our workers sign. */
export interface IssuerDocuments {
  readonly configuration: object;
  readonly keys: object;
}

/** Public by their nature; there only where short-lived keys are configured. */
export function wellKnownRoutes(documents: IssuerDocuments | undefined) {
  const routes = new Hono<Env>();
  if (!documents) return routes;
  return routes
    .get("/openid-configuration", (c) => c.json(documents.configuration))
    .get("/jwks.json", (c) => c.json(documents.keys));
}
