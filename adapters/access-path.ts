const probeTimeoutMs = 2000;

/**
 * True when the runner of this session answers through the access path, as a browser would reach it. For a moment
 * after a REPL is opened again the ingress controller may still lead to the pod of the session before, which is
 * ending but answers too. Never throws but for the signal.
 */
export async function probeAccessPath(url: string, sessionId: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(probeTimeoutMs)]),
      redirect: "manual",
    });
    // The body says that it was the runner, not an error page of something on the way.
    const isPong = (await response.text()) === '"pong"' && response.status === 200;
    return isPong && response.headers.get("devex-session") === sessionId;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
