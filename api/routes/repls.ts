import { createHash, randomBytes } from "node:crypto";
import { Hono, type Context } from "hono";
import { setCookie } from "hono/cookie";
import { ReplError } from "../../domain/errors.ts";
import { basePathOf } from "../../domain/naming.ts";
import type { Repl, ReplRecord, User } from "../../domain/repl.ts";
import type { PublishedTemplate } from "../../domain/template.ts";
import type { Env } from "../env.ts";
import type { ReplReader } from "../repl-reader.ts";
import type { ReplWorkflows } from "../repl-workflows.ts";
import { createRequest, readBody, replJson, requireName } from "../schemas.ts";
import type { Tickets } from "../tickets.ts";

export interface ReplRoutesOptions {
  readonly reader: ReplReader;
  readonly workflows: ReplWorkflows;
  readonly templates: readonly PublishedTemplate[];
  readonly tickets: Tickets;
  readonly cookieDomain?: string | undefined;
  readonly secureCookies: boolean;
}

/** The REPLs of the signed-in user. */
export function replRoutes({ reader, workflows, templates, tickets, cookieDomain, secureCookies }: ReplRoutesOptions) {
  const routes = new Hono<Env>();
  const ownerOf = (c: Context<Env>): User => ({ id: c.get("user").id, login: c.get("user").login });
  const wantsToWait = (c: Context<Env>) => !/\brespond-async\b/i.test(c.req.header("prefer") ?? "");

  function templateOf(name: string): PublishedTemplate {
    const template = templates.find((candidate) => candidate.name === name);
    if (!template)
      throw new ReplError(
        "invalid",
        `template: there is no "${name.slice(0, 40)}"; choose one of ${templates.map((known) => known.name).join(", ")}`,
      );
    return template;
  }

  /** Lets the browser into the REPL: the cookie for pages, the ticket for everything else. */
  async function letIn(c: Context<Env>, replId: string): Promise<string> {
    const ticket = await tickets.issue(replId, c.get("user").id);
    setCookie(c, "devex_repl", ticket, {
      httpOnly: true,
      sameSite: "Lax",
      path: `${basePathOf(replId)}/`,
      maxAge: tickets.lifetimeSeconds,
      secure: secureCookies,
      ...(cookieDomain ? { domain: cookieDomain } : {}),
    });
    return ticket;
  }

  const create = async (c: Context<Env>) => {
    const request = await readBody(c, createRequest);
    const name = requireName(request.name);
    const template = templateOf(request.template);
    const owner = ownerOf(c);
    const key = idempotencyKey(c);
    const id = key === undefined ? newReplId() : replIdFor(owner, key);
    const existing = key === undefined ? undefined : await reader.find(owner, id);
    if (existing && (existing.name !== name || existing.template !== template.name)) {
      throw new ReplError("conflict", "Idempotency-Key: it was used for another REPL; take a new one.");
    }
    if (existing && existing.status !== "creating") {
      await letIn(c, id);
      return c.json(replJson(existing), 201);
    }
    const repl: ReplRecord = { id, name, owner, template: template.name, createdAt: new Date().toISOString() };
    const started = await workflows.create({
      repl,
      template: published(template),
      session: { id: newSessionId(), replId: id, userId: owner.id },
      ticketKey: tickets.publicKey,
    });
    if (!wantsToWait(c)) {
      await started.accepted();
      return accepted(c, await reader.get(owner, id));
    }
    await started.result();
    await letIn(c, id);
    return c.json(replJson(await reader.get(owner, id)), 201);
  };
  routes.post("/create", create);
  routes.post("/new", create);

  routes.get("/", async (c) => c.json((await reader.list(ownerOf(c))).map(replJson)));

  routes.get("/:id", async (c) => c.json(replJson(await reader.get(ownerOf(c), c.req.param("id")))));

  const open = async (c: Context<Env, "/session/:id">) => {
    const owner = ownerOf(c);
    const repl = await reader.get(owner, c.req.param("id"));
    const answer = async (url: string) =>
      c.json({ replId: repl.id, replName: repl.name, url, ticket: await letIn(c, repl.id) });
    if (repl.status === "running" && repl.url) return answer(repl.url);
    const template = templateOf(repl.template);
    const started = await workflows.open({
      repl: recordOf(repl),
      template: published(template),
      session: { id: newSessionId(), replId: repl.id, userId: owner.id },
      ticketKey: tickets.publicKey,
    });
    if (!wantsToWait(c)) {
      await started.accepted();
      return accepted(c, await reader.get(owner, repl.id));
    }
    return answer((await started.result()).url);
  };
  routes.post("/session/:id", open);
  routes.get("/session/:id", open);

  routes.delete("/session/:id", async (c) => {
    const owner = ownerOf(c);
    const repl = await reader.get(owner, c.req.param("id"));
    const nothing = { generation: 0, version: "", files: 0, bytes: 0, savedAt: repl.createdAt };
    const { save } = await workflows.close({ replId: repl.id, owner: repl.owner, lastSave: repl.lastSave ?? nothing });
    return c.json({ replId: repl.id, save: { generation: save.generation, files: save.files, bytes: save.bytes } });
  });

  routes.delete("/:id", async (c) => {
    const repl = await reader.get(ownerOf(c), c.req.param("id"));
    await workflows.remove({ replId: repl.id, owner: repl.owner });
    return c.json({ replId: repl.id, message: "Deleted." });
  });

  return routes;
}

function accepted(c: Context<Env>, repl: Repl): Response {
  c.header("Location", `/api/repl/${repl.id}`);
  c.header("Preference-Applied", "respond-async");
  return c.json(replJson(repl), 202);
}

/** Only what workflows need: a template loaded from disk carries more. */
function published({
  name,
  title,
  description,
  language,
  run,
  ports,
  environment,
  resources,
  image,
  digest,
}: PublishedTemplate): PublishedTemplate {
  return {
    name,
    title,
    description,
    language,
    run,
    ports,
    environment,
    resources,
    digest,
    ...(image ? { image } : {}),
  };
}

function recordOf({ id, name, owner, template, createdAt, lastOpenedAt, lastSave }: Repl): ReplRecord {
  return {
    id,
    name,
    owner,
    template,
    createdAt,
    ...(lastOpenedAt ? { lastOpenedAt } : {}),
    ...(lastSave ? { lastSave } : {}),
  };
}

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
const idLength = 16;

function newReplId(): string {
  return `repl-${label(randomBytes(idLength))}`;
}

function newSessionId(): string {
  return label(randomBytes(idLength));
}

/** The same key of the same user names the same REPL: repeating a create finds what the first one made. */
function replIdFor(owner: User, key: string): string {
  return `repl-${label(createHash("sha256").update(`${owner.id}\0${key}`).digest().subarray(0, idLength))}`;
}

function label(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => idAlphabet[byte % idAlphabet.length]).join("");
}

function idempotencyKey(c: Context<Env>): string | undefined {
  const key = c.req.header("idempotency-key");
  if (key !== undefined && (key.length < 1 || key.length > 200))
    throw new ReplError("invalid", "Idempotency-Key: use 1 to 200 characters");
  return key;
}
