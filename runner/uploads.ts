/** Uploads by HTTP that are under way. */
export type Uploads = ReturnType<typeof createUploads>;

/** `isClosing` tells whether the last save may have begun: what is stored after that would be lost. */
export function createUploads(isClosing: () => boolean) {
  const running = new Map<AbortController, Promise<void>>();
  return {
    isClosing,

    async run(upload: (signal: AbortSignal) => Promise<void>): Promise<void> {
      const controller = new AbortController();
      const work = upload(controller.signal);
      running.set(controller, work);
      try {
        await work;
      } finally {
        running.delete(controller);
      }
    },

    /** Breaks all of them off. When it resolves, each has been stored whole or has left nothing. */
    async end(): Promise<void> {
      for (const controller of running.keys()) controller.abort();
      await Promise.allSettled(running.values());
    },
  };
}
