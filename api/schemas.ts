import type { Context } from "hono";
import { z } from "zod";
import { ReplError } from "../domain/errors.ts";
import { parseReplName, type Repl } from "../domain/repl.ts";
import type { Template } from "../domain/template.ts";
import type { SignedInUser } from "./sessions.ts";

const maximumLoginLength = 39;

export const developmentSignIn = z.object({
  login: z
    .string()
    .max(maximumLoginLength)
    .regex(/^[a-z\d](?:[a-z\d]|-(?=[a-z\d]))*$/i, "use letters, digits and single hyphens, as in a GitHub login"),
});

/** `replName` is the name the existing front end gives it; what else it sends is ignored. */
export const createRequest = z
  .object({
    template: z.string().min(1).max(100),
    name: z.string().max(500).optional(),
    replName: z.string().max(500).optional(),
  })
  .transform(({ template, name, replName }) => ({ template, name: name ?? replName }));

/** Reads a JSON body. Throws `invalid` with every field that is wrong. */
export async function readBody<Schema extends z.ZodType>(c: Context, schema: Schema): Promise<z.output<Schema>> {
  let body: unknown;
  try {
    body = JSON.parse(await c.req.text());
  } catch {
    throw new ReplError("invalid", "body: send a JSON object, with Content-Type: application/json");
  }
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "body"}: ${issue.message}`);
  throw new ReplError("invalid", problems.join("; "));
}

export function requireName(name: string | undefined): string {
  if (name === undefined) throw new ReplError("invalid", "name: is missing");
  return parseReplName(name);
}

export function replJson(repl: Repl) {
  const { owner, id, name, template, status, statusReason, url, createdAt, lastOpenedAt, lastSave } = repl;
  return {
    id,
    name,
    user: owner.login,
    template,
    isActive: status === "running",
    status,
    statusReason,
    url,
    createdAt,
    lastOpenedAt,
    lastSave: lastSave && {
      generation: lastSave.generation,
      files: lastSave.files,
      bytes: lastSave.bytes,
      savedAt: lastSave.savedAt,
    },
  };
}

export function userJson(user: SignedInUser) {
  return {
    id: Number(user.id),
    login: user.login,
    name: user.name,
    email: user.email,
    avatar_url: user.avatarUrl,
    created_at: user.createdAt,
  };
}

export function templateJson({ name, title, description, language, ports }: Template) {
  return { name, title, description, language, ports };
}
