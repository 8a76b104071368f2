const probeTimeoutMs = 2000;

/** True when the runner answers through the access path, as a browser would reach it. Never throws but for the signal. */
export async function probeAccessPath(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(probeTimeoutMs)]),
      redirect: "manual",
    });
    // The body says that it was the runner, not an error page of something on the way.
    return (await response.text()) === '"pong"' && response.status === 200;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
