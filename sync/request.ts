const standardTimeoutMs = 5000;

/** Asks for, or sends, JSON. Throws when no answer comes in time; an answer of any status is one. */
export async function request(
  url: string,
  method: string,
  {
    token,
    body,
    timeoutMs = standardTimeoutMs,
  }: { token?: string; body?: string | undefined; timeoutMs?: number } = {},
): Promise<{ readonly status: number; readonly body: string }> {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  };
  const signal = AbortSignal.timeout(timeoutMs);
  const answer = await fetch(url, { method, headers, body: body ?? null, redirect: "manual", signal });
  return { status: answer.status, body: await answer.text() };
}
