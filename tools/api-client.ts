/** A user of the HTTP API, as the demo, the tests and the benches play one. */

export interface ReplAnswer {
  readonly id: string;
  readonly name: string;
  readonly user: string;
  readonly template: string;
  readonly isActive: boolean;
  readonly status: string;
  readonly statusReason?: string;
  readonly url?: string;
  readonly createdAt: string;
  readonly lastOpenedAt?: string;
  readonly lastSave?: { readonly generation: number; readonly files: number; readonly bytes: number };
}

export interface OpenAnswer {
  readonly replId: string;
  readonly replName: string;
  readonly url: string;
  readonly ticket: string;
}

export interface CloseAnswer {
  readonly replId: string;
  readonly save: { readonly generation: number; readonly files: number; readonly bytes: number };
}

export type ApiClient = Awaited<ReturnType<typeof signIn>>;

/** Signs in by the development login. Every call throws an error with the problem's text unless it succeeds. */
export async function signIn(baseUrl: string, login: string) {
  const { token } = await request<{ token: string }>("POST", "/auth/dev", { login });

  async function request<Answer>(
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(baseUrl + path, {
      method,
      headers: {
        "content-type": "application/json",
        ...(path === "/auth/dev" ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as Answer;
  }

  return {
    login,
    token,
    request,
    create: (template: string, name: string, headers?: Record<string, string>) =>
      request<ReplAnswer>("POST", "/api/repl/create", { template, name }, headers),
    open: (id: string) => request<OpenAnswer>("POST", `/api/repl/session/${id}`),
    close: (id: string) => request<CloseAnswer>("DELETE", `/api/repl/session/${id}`),
    remove: (id: string) => request<object>("DELETE", `/api/repl/${id}`),
    get: (id: string) => request<ReplAnswer>("GET", `/api/repl/${id}`),
    list: () => request<ReplAnswer[]>("GET", "/api/repl"),
  };
}
