import { z } from "@hono/zod-openapi";
import { maximumNameLength, parseReplName, type Repl } from "../domain/repl.ts";
import type { Template } from "../domain/template.ts";
import type { SignedInUser } from "./sessions.ts";

/** What requests and answers look like: these validate, and the OpenAPI document is made of them. */

const maximumLoginLength = 39;
const exampleId = "repl-4hw2kqvxj3n5ayzd";
const time = z.iso.datetime();

export const userSchema = z
  .object({
    id: z.int().openapi({ description: "GitHub's numeric id", example: 583231 }),
    login: z.string().openapi({ example: "octocat" }),
    name: z.string(),
    email: z.string().openapi({ description: "Empty when GitHub does not tell it." }),
    avatar_url: z.string(),
    created_at: z.string(),
  })
  .openapi("User");

export const signedInSchema = z.object({ user: userSchema, token: z.string(), expiresAt: time }).openapi("SignedIn");

export const authStatusSchema = z
  .object({
    authenticated: z.boolean(),
    user: userSchema.optional(),
    token_expires_at: time.optional(),
    sign_in: z.array(z.enum(["github", "development"])).openapi({ description: "The ways to sign in that are on" }),
  })
  .openapi("AuthStatus");

export const messageSchema = z.object({ message: z.string() }).openapi("Message");

export const developmentSignIn = z
  .object({
    login: z
      .string()
      .max(maximumLoginLength)
      .regex(
        /^[A-Za-z\d](?:[A-Za-z\d]|-(?=[A-Za-z\d]))*$/,
        "use letters, digits and single hyphens, as in a GitHub login",
      )
      .openapi({ example: "octocat" }),
  })
  .openapi("DevelopmentSignIn");

export const githubSignIn = z
  .object({
    code: z.string().min(1).max(500).openapi({ description: "What GitHub gave to the redirect" }),
    redirectUri: z
      .url({ protocol: /^https?$/ })
      .max(2000)
      .optional(),
    codeVerifier: z
      .string()
      .regex(/^[\w.~-]{43,128}$/, "use 43 to 128 of A-Z a-z 0-9 - . _ ~ (RFC 7636)")
      .optional(),
  })
  .openapi("GithubSignIn");

export const saveSchema = z
  .object({ generation: z.int(), files: z.int(), bytes: z.int(), savedAt: time })
  .openapi("Save", { description: "One whole save of the workspace; generations count from 1." });

const unsavedSchema = z
  .object({
    bytes: z.int().min(0),
    files: z.int().min(0),
    since: time,
    reason: z.string().max(2000).optional().openapi({ description: "Why the last checkpoint failed" }),
  })
  .openapi("Unsaved");

export const replSchema = z
  .object({
    id: z.string().openapi({ example: exampleId }),
    name: z.string().openapi({ example: "My server" }),
    user: z.string().openapi({ description: "The owner's login when the REPL was made" }),
    template: z.string().openapi({ example: "node" }),
    isActive: z.boolean(),
    status: z.enum(["creating", "stopped", "starting", "running", "stopping", "deleting", "failed"]),
    statusReason: z
      .string()
      .optional()
      .openapi({ description: "Why it failed, what a close waits for, or what was lost with its last session" }),
    url: z.string().optional().openapi({ description: "The access path, while it runs" }),
    createdAt: time,
    lastOpenedAt: time.optional(),
    lastSave: saveSchema.optional(),
    unsaved: unsavedSchema.optional().openapi({ description: "What would be lost with its container now" }),
  })
  .openapi("Repl");

const replName = z.string().transform((value, context) => {
  try {
    return parseReplName(value);
  } catch (error) {
    // The message already begins with the field's name.
    context.addIssue({ code: "custom", message: (error as Error).message.replace(/^name: /, "") });
    return z.NEVER;
  }
});
const documentedName = replName.openapi({
  type: "string",
  minLength: 1,
  maxLength: maximumNameLength,
  example: "My server",
});

/** `replName` is the name the existing front end gives it; what else it sends is ignored. */
export const createRequest = z
  .object({
    template: z.string().min(1).max(100).optional().openapi({ example: "node" }),
    from: z
      .object({
        replId: z.string().max(100).openapi({ example: exampleId }),
        generation: z.int().min(1).optional(),
        sessionId: z
          .string()
          .regex(/^[a-z0-9-]{1,63}$/, "give the sessionId of a rescued workspace")
          .optional()
          .openapi({ description: "Of a rescued workspace, in place of a save" }),
      })
      .optional()
      .openapi({
        description:
          "A save of another REPL of yours to begin with, in place of a template; the newest one when no generation is given",
      }),
    name: documentedName.optional(),
    replName: documentedName.optional().openapi({ description: "Another word for name", deprecated: true }),
  })
  .openapi("CreateRequest");

export const openAnswerSchema = z
  .object({
    replId: z.string(),
    replName: z.string(),
    url: z.string().openapi({ description: "The access path. The answer's cookie opens it in a browser." }),
    ticket: z.string().openapi({ description: "Opens the access path as ?ticket= where there is no cookie" }),
    previews: z.array(z.object({ port: z.int(), url: z.string() })).openapi({
      description: "Where programs on the template's ports are seen; a host of its own wants ?ticket= the first time",
    }),
  })
  .openapi("OpenAnswer");

export const notSavedSchema = z
  .object({
    count: z.int(),
    first: z.array(
      z.object({
        path: z.string(),
        why: z.string(),
        isKept: z.boolean().openapi({ description: "The save has what the save before it had of the path" }),
      }),
    ),
  })
  .openapi("NotSaved", { description: "Paths that could not be read or stored; some of them by name" });

export const closeAnswerSchema = z
  .object({
    replId: z.string(),
    save: z.object({ generation: z.int(), files: z.int(), bytes: z.int() }),
    lost: z.string().optional().openapi({
      description: "A sentence: what could not be saved any more, why, and after which save or moment it was written",
    }),
    notSaved: notSavedSchema.optional(),
  })
  .openapi("CloseAnswer");

export const removeAnswerSchema = z.object({ replId: z.string(), message: z.string() }).openapi("RemoveAnswer");

export const templateSchema = z
  .object({
    name: z.string(),
    title: z.string(),
    description: z.string(),
    language: z.string(),
    run: z.string().openapi({ description: "The command that runs its program", example: "node server.js" }),
    ports: z.array(z.int()),
  })
  .openapi("Template");

export const limitsSchema = z
  .object({ repls: z.int(), active: z.int() })
  .openapi("Limits", { description: "How many REPLs one user can have, and have open at a time" });

export const runnerReportSchema = z
  .object({
    connections: z.int().min(0).max(100_000),
    lastActivityAt: time,
    save: z
      .object({
        lastSave: z.object({ generation: z.int().min(0), savedAt: time }).optional(),
        unsaved: unsavedSchema.optional(),
      })
      .optional()
      .openapi({ description: "What the checkpoints know" }),
  })
  .openapi("RunnerReport");

export const pingSchema = z
  .object({
    api: z.string(),
    k8s: z.string(),
    s3: z.string(),
    redis: z.string(),
    temporal: z.string(),
    postgres: z.string().optional().openapi({ description: "Where the registry is there" }),
    version: z.string().openapi({ description: "Of this API, with its build", example: "0.1.0+4b825dc642cb" }),
  })
  .openapi("Ping", { description: 'Each but the version is "ok" or a short reason.' });

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    error: z.string().openapi({ description: "The same sentence as detail" }),
    requestId: z.string(),
  })
  .openapi("Problem", { description: "RFC 9457" });

// Any id is taken, so that one that cannot exist is answered like one that does not.
export const replParams = z.object({
  id: z.string().openapi({ param: { name: "id", in: "path" }, example: exampleId, description: "A REPL's id" }),
});

export const preferHeader = z.object({
  prefer: z.string().optional().openapi({
    description: "`respond-async`: answer 202 as soon as a place is taken; follow the rest by status or events",
    example: "respond-async",
  }),
});

export const createHeaders = preferHeader.extend({
  "idempotency-key": z
    .string()
    .min(1, "use 1 to 200 characters")
    .max(200, "use 1 to 200 characters")
    .optional()
    .openapi({ description: "The same key gives the same REPL, however often it is sent" }),
});

export function replJson(repl: Repl): z.infer<typeof replSchema> {
  const { owner, id, name, template, status, statusReason, url, createdAt, lastOpenedAt, lastSave, unsaved } = repl;
  return {
    id,
    name,
    user: owner.login,
    template,
    isActive: status === "running",
    status,
    ...(statusReason ? { statusReason } : {}),
    ...(url ? { url } : {}),
    createdAt,
    ...(lastOpenedAt ? { lastOpenedAt } : {}),
    ...(lastSave
      ? {
          lastSave: {
            generation: lastSave.generation,
            files: lastSave.files,
            bytes: lastSave.bytes,
            savedAt: lastSave.savedAt,
          },
        }
      : {}),
    ...(unsaved ? { unsaved } : {}),
  };
}

export function userJson(user: SignedInUser): z.infer<typeof userSchema> {
  return {
    id: Number(user.id),
    login: user.login,
    name: user.name,
    email: user.email,
    avatar_url: user.avatarUrl,
    created_at: user.createdAt,
  };
}

export function templateJson(template: Template): z.infer<typeof templateSchema> {
  const { name, title, description, language, run, ports } = template;
  return { name, title, description, language, run, ports: [...ports] };
}
