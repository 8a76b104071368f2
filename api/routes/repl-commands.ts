import { createRoute, type z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { setCookie } from "hono/cookie";
import { ReplError } from "../../domain/errors.ts";
import type { StartInput } from "../../activities/inputs.ts";
import type { SaveSummary } from "../../domain/save.ts";
import { findSave, type SaveReads } from "../../domain/save-history.ts";
import { basePathOf, previewUrl } from "../../domain/naming.ts";
import { parseReplId, type Repl, type ReplRecord, type User } from "../../domain/repl.ts";
import { findRescued } from "../../domain/rescue.ts";
import type { PublishedTemplate } from "../../domain/template.ts";
import type { Env } from "../env.ts";
import { createRoutes, jsonBody, jsonContent, jsonOnly, problems, sessionSecurity } from "../openapi.ts";
import { newReplId, newSessionId, replIdFor } from "../repl-ids.ts";
import type { ReplReader } from "../repl-reader.ts";
import type { ReplWorkflows } from "../repl-workflows.ts";
import {
  closeAnswerSchema,
  createHeaders,
  createRequest,
  openAnswerSchema,
  preferHeader,
  removeAnswerSchema,
  replJson,
  replParams,
  replSchema,
} from "../schemas.ts";
import type { Tickets } from "../tickets.ts";

export interface ReplCommandsOptions {
  readonly reader: ReplReader;
  readonly workflows: ReplWorkflows;
  readonly templates: readonly PublishedTemplate[];
  readonly store: SaveReads;
  readonly tickets: Tickets;
  readonly cookieDomain?: string | undefined;
  readonly previewDomain?: string | undefined;
  readonly isProduction: boolean;
}

const common = { tags: ["REPLs"], security: sessionSecurity };
const accepted = jsonContent(replSchema, "Accepted, with respond-async; Location says where to look");

const createReplRoute = createRoute({
  ...common,
  method: "post",
  path: "/create",
  summary: "Create a REPL from a template and open it",
  middleware: jsonOnly,
  request: { headers: createHeaders, body: jsonBody(createRequest) },
  responses: {
    201: jsonContent(replSchema, "It is ready at its url"),
    202: accepted,
    ...problems(400, 401, 403, 404, 409),
  },
});
/** As the existing front end calls it. */
const createAliasRoute = createRoute({ ...createReplRoute, path: "/new", hide: true });
const openRoute = createRoute({
  ...common,
  method: "post",
  path: "/session/{id}",
  summary: "Open a REPL from its newest save",
  request: { params: replParams, headers: preferHeader },
  responses: {
    200: jsonContent(openAnswerSchema, "It answers at its url"),
    202: accepted,
    ...problems(401, 403, 404, 409),
  },
});
const openByGetRoute = createRoute({ ...openRoute, method: "get", summary: "The same, for the existing front end" });
const closeRoute = createRoute({
  ...common,
  method: "delete",
  path: "/session/{id}",
  summary: "Close a REPL: save it, prove the save, then remove the container",
  request: { params: replParams },
  responses: { 200: jsonContent(closeAnswerSchema, "Saved and closed"), ...problems(401, 403, 404, 409) },
});
const removeRoute = createRoute({
  ...common,
  method: "delete",
  path: "/{id}",
  summary: "Delete a REPL with all its files and saves",
  request: { params: replParams },
  responses: { 200: jsonContent(removeAnswerSchema, "Nothing of it is left"), ...problems(401, 403, 404, 409) },
});

/** What changes the REPLs of the signed-in user; each is one workflow. */
export function replCommands(options: ReplCommandsOptions) {
  const { reader, workflows, templates, tickets, cookieDomain, previewDomain, isProduction } = options;
  const ownerOf = (c: Context<Env>): User => ({ id: c.get("user").id, login: c.get("user").login });

  const findTemplate = (name: string) => templates.find((candidate) => candidate.name === name);

  function templateOf(name: string): PublishedTemplate {
    const template = findTemplate(name);
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
      secure: isProduction,
      ...(cookieDomain ? { domain: cookieDomain } : {}),
    });
    return ticket;
  }

  async function create(c: Context<Env>, request: z.output<typeof createRequest>, key: string | undefined) {
    const name = request.name ?? request.replName;
    if (name === undefined) throw new ReplError("invalid", "name: is missing");
    const owner = ownerOf(c);
    const rescued = request.from?.sessionId === undefined ? undefined : await rescuedOf(owner, request.from);
    const source = request.from && !rescued ? await reader.get(owner, request.from.replId) : undefined;
    if (!source && request.template === undefined) throw new ReplError("invalid", "template: is missing");
    const template = templateOf(source?.template ?? request.template ?? "");
    const id = key === undefined ? newReplId() : replIdFor(owner, key);
    const existing = key === undefined ? undefined : await reader.find(owner, id);
    if (existing && (existing.name !== name || existing.template !== template.name))
      throw new ReplError("conflict", "Idempotency-Key: it was used for another REPL; take a new one.");
    if (existing && existing.status !== "creating") {
      await letIn(c, id);
      return c.json(replJson(existing), 201);
    }
    const copyOf = rescued ?? (source && (await copyOfSave(source, request.from?.generation)));
    const repl: ReplRecord = { id, name, owner, template: template.name, createdAt: new Date().toISOString() };
    const started = await workflows.create(
      {
        repl,
        template,
        session: { id: newSessionId(), replId: id, userId: owner.id },
        ticketKey: tickets.publicKey,
        ...(copyOf ? { copyOf } : {}),
      },
      { isOnlyOnce: key !== undefined },
    );
    if (wantsNoWait(c)) {
      await started.accepted();
      return answerAccepted(c, await reader.get(owner, id));
    }
    await started.result();
    await letIn(c, id);
    return c.json(replJson(await reader.get(owner, id)), 201);
  }

  async function rescuedOf(
    owner: User,
    { replId, sessionId = "" }: NonNullable<z.output<typeof createRequest>["from"]>,
  ): Promise<NonNullable<StartInput["copyOf"]>> {
    const found = await findRescued(options.store, { id: sessionId, replId: parseReplId(replId), userId: owner.id });
    if (!found) throw new ReplError("not_found", "from.sessionId: you have no such rescued workspace.");
    return { replId, sessionId, save: found.save };
  }

  async function copyOfSave({ owner, id }: Repl, generation: number | undefined): Promise<StartInput["copyOf"]> {
    const source = await reader.record(owner, id);
    if (!source.lastSave) throw new ReplError("conflict", "from.replId: that REPL has no save yet.");
    const save =
      generation === undefined ? source.lastSave : (await findSave(options.store, source, generation)).summary;
    return { replId: source.id, save };
  }

  async function open(c: Context<Env>, id: string) {
    const owner = ownerOf(c);
    const repl = await reader.get(owner, id);
    const answer = async (url: string, ports: readonly number[]) => {
      const previews = ports.map((port) => ({ port, url: previewUrl(url, previewDomain, repl.id, port) }));
      return c.json({ replId: repl.id, replName: repl.name, url, ticket: await letIn(c, repl.id), previews }, 200);
    };
    // A REPL goes on when its template is offered no more.
    if (repl.status === "running" && repl.url) return answer(repl.url, findTemplate(repl.template)?.ports ?? []);
    const template = templateOf(repl.template);
    const started = await workflows.open(
      {
        repl: recordOf(repl),
        template,
        session: { id: newSessionId(), replId: repl.id, userId: owner.id },
        ticketKey: tickets.publicKey,
      },
      repl,
    );
    if (wantsNoWait(c)) {
      await started.accepted();
      return answerAccepted(c, await reader.get(owner, repl.id));
    }
    return answer((await started.result()).url, template.ports);
  }

  return createRoutes()
    .openapi(createReplRoute, (c) => create(c, c.req.valid("json"), c.req.valid("header")["idempotency-key"]))
    .openapi(createAliasRoute, (c) => create(c, c.req.valid("json"), c.req.valid("header")["idempotency-key"]))
    .openapi(openRoute, (c) => open(c, c.req.valid("param").id))
    .openapi(openByGetRoute, (c) => open(c, c.req.valid("param").id))
    .openapi(closeRoute, async (c) => {
      const repl = await reader.get(ownerOf(c), c.req.valid("param").id);
      return c.json(await closeRepl(options, repl), 200);
    })
    .openapi(removeRoute, async (c) => {
      const repl = await reader.get(ownerOf(c), c.req.valid("param").id);
      await workflows.remove({ replId: repl.id, owner: repl.owner, createdAt: repl.createdAt }, repl);
      return c.json({ replId: repl.id, message: "Deleted." }, 200);
    });
}

/**
 * Closes a REPL, whoever wishes it, and says which save holds its files; what never was saved is save 0. Of one that was
 * closed already it says again what was lost.
 */
export async function closeRepl(
  { workflows, reader }: Pick<ReplCommandsOptions, "workflows" | "reader">,
  repl: Repl,
): Promise<z.infer<typeof closeAnswerSchema>> {
  const nothing = { generation: 0, version: "", files: 0, bytes: 0, savedAt: repl.createdAt };
  const { save } = await workflows.close({
    replId: repl.id,
    owner: repl.owner,
    lastSave: repl.lastSave ?? nothing,
  });
  // The close is done; where the registry does not answer now, its own words are all there is.
  const record = await reader.record(repl.owner, repl.id).catch(() => undefined);
  const { generation, files, bytes } = newerOf(save, record?.lastSave);
  const { lost = record?.lastEnd?.lost, notSaved } = save;
  return {
    replId: repl.id,
    save: { generation, files, bytes },
    ...(lost ? { lost } : {}),
    ...(notSaved ? { notSaved: { count: notSaved.count, first: [...notSaved.first] } } : {}),
  };
}

const newerOf = (save: SaveSummary, other: SaveSummary | undefined): SaveSummary =>
  other && other.generation > save.generation ? other : save;

function wantsNoWait(c: Context<Env>): boolean {
  return /\brespond-async\b/i.test(c.req.header("prefer") ?? "");
}

function answerAccepted(c: Context<Env>, repl: Repl) {
  c.header("Location", `/api/repl/${repl.id}`);
  c.header("Preference-Applied", "respond-async");
  return c.json(replJson(repl), 202);
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
