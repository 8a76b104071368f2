import type { Context } from "@temporalio/activity";
import type { ActivityInterceptorsFactory } from "@temporalio/worker";

/** A few fit into the heartbeat timeout of the workflows' steps. */
const beatEveryMs = 2000;

/**
 * Every step tells the server that its worker lives, with what it last said of itself: the loss of a worker is
 * noticed within seconds, whatever the step, and a cancellation reaches it as soon.
 */
export const createHeartbeatInterceptor = (): ActivityInterceptorsFactory => (context: Context) => ({
  inbound: {
    async execute(input, next) {
      const heartbeat = context.heartbeat.bind(context);
      let details: unknown;
      Object.assign(context, { heartbeat: (said: unknown) => heartbeat((details = said)) });
      const beating = setInterval(() => heartbeat(details), beatEveryMs);
      try {
        return await next(input);
      } finally {
        clearInterval(beating);
      }
    },
  },
});
