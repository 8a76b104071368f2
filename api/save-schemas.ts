import { z } from "@hono/zod-openapi";
import { replParams, saveSchema, notSavedSchema } from "./schemas.ts";

/** What requests about saves and their answers look like. */

const generation = z.coerce
  .number()
  .int()
  .min(1)
  .max(Number.MAX_SAFE_INTEGER)
  .openapi({ type: "integer", example: 7, description: "A save's number" });

export const saveParams = replParams.extend({
  generation: generation.openapi({ param: { name: "generation", in: "path" } }),
});

export const savesQuery = z.object({
  before: generation.optional().openapi({ description: "Only saves before this one" }),
  limit: z.coerce.number().int().min(1).max(200).default(50).openapi({ type: "integer" }),
});

export const savesSchema = z
  .object({
    saves: z.array(
      saveSchema.extend({
        kind: z.enum(["template", "checkpoint", "close", "restored", "copy"]).openapi({
          description: "What it was made for: a new REPL, while people worked, at a close, by going back, as a copy",
        }),
        isNewest: z.boolean(),
        notSaved: z.int().optional().openapi({ description: "How many paths could not be saved, if any" }),
      }),
    ),
    before: z.int().optional().openapi({ description: "Send it as `before` for the next page; absent on the last" }),
  })
  .openapi("Saves");

export const saveFilesSchema = z
  .object({
    generation: z.int(),
    entries: z.array(
      z.object({
        path: z.string().openapi({ description: "One that is not UTF-8: `base64:` and its bytes" }),
        type: z.enum(["file", "folder", "link"]),
        mode: z.int(),
        modifiedAt: z.string(),
        sizeBytes: z.int().optional(),
        sha256: z.string().optional(),
        target: z.string().optional(),
      }),
    ),
    leftOut: z.array(z.string()).openapi({ description: "Sockets and the like, which have no content" }),
    inMotion: z.array(z.string()).openapi({ description: "What changed while it was saved" }),
    notSaved: notSavedSchema.optional(),
  })
  .openapi("SaveFiles");

export const restoreRequest = z
  .object({
    path: z
      .string()
      .min(1)
      .max(4096)
      .refine((path) => !path.startsWith("/") && !path.endsWith("/"), "write it without a slash at its begin or end")
      .optional()
      .openapi({ description: "One file or folder; everything when absent", example: "src/main.py" }),
  })
  .openapi("RestoreRequest");

export const restoreAnswerSchema = z
  .object({ replId: z.string(), save: z.object({ generation: z.int(), files: z.int(), bytes: z.int() }) })
  .openapi("RestoreAnswer");

/** A pod's own name for itself. */
export const podSchema = z.string().min(1).max(253).openapi({ example: "repl-4hw2kqvxj3n5ayzd-6d5f" });

const versionSchema = z
  .string()
  .regex(/^[\w.~+/=-]{1,1024}$/, "give the object's version as the store names it")
  .openapi({ description: "Of the manifest's object" });

export const savedReplSchema = z
  .object({
    id: z.string(),
    owner: z.object({ id: z.string(), login: z.string() }),
    lastSave: saveSchema.extend({ version: z.string() }).optional(),
  })
  .openapi("SavedRepl");

export const claimSchema = z
  .object({
    pod: podSchema,
    whenFree: z.boolean().optional().openapi({
      description: "Only where no other pod of the session holds the files; otherwise it is taken from it",
    }),
  })
  .openapi("Claim");

export const releaseSchema = z
  .object({
    pod: podSchema,
    // Words that are too long keep no pod from handing over.
    notSaved: z
      .string()
      .transform((words) => words.slice(0, 2000))
      .optional()
      .openapi({ description: "What could not be saved, in words" }),
  })
  .openapi("Release");

export const rescuedSchema = z
  .object({
    replId: z.string(),
    sessionId: z.string(),
    files: z.int(),
    bytes: z.int(),
    savedAt: z.iso.datetime(),
  })
  .openapi("RescuedWorkspace");

export const heldReplSchema = z.object({ heldBy: podSchema }).openapi("HeldRepl");

export const movedPointerSchema = z
  .object({ pod: podSchema.optional(), parent: z.int().min(0), generation: z.int().min(1), version: versionSchema })
  .openapi("MovedPointer");
