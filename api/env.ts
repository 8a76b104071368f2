import type { HttpBindings } from "@hono/node-server";
import type { GitHubUser } from "@hono/oauth-providers/github";
import type { Logger } from "../config/logger.ts";
import type { Session, SignedInUser } from "./sessions.ts";

/** What middleware leaves for the handlers. */
export interface Env {
  Bindings: Partial<HttpBindings>;
  Variables: {
    requestId: string;
    logger: Logger;
    /** Set by the middleware that demands a session. */
    session: Session;
    user: SignedInUser;
    /** Set by the sign-in library. */
    "user-github": Partial<GitHubUser> | undefined;
  };
}
