import type { Logger } from "../config/logger.ts";
import type { SignedInUser } from "./sessions.ts";

/** What middleware leaves for the handlers. */
export interface Env {
  Variables: {
    requestId: string;
    logger: Logger;
    /** Set by the middleware that demands a session. */
    user: SignedInUser;
  };
}
