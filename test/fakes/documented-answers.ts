import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect } from "vitest";

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}
interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const documentId = "devex";
/** What the existing front end calls beside the documented ways. */
const aliases: Readonly<Record<string, string>> = {
  "/api/repl/new": "/api/repl/create",
  "/auth/github/login": "/auth/github",
};

/** Checks answers against the OpenAPI document: the path, the status, the content type and the body. */
export function createAnswerCheck(document: unknown) {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(document as object, documentId);
  const validators = new Map<string, ValidateFunction>();
  const { paths } = document as ApiDocument;

  function templateOf(path: string): string | undefined {
    const plain = path.replace(/\?.*$/, "").replace(/(?<=.)\/$/, "");
    const known = aliases[plain] ?? plain;
    const candidates = Object.keys(paths).filter((template) =>
      new RegExp(`^${template.replace("{path}", ".+").replace(/\{[^}]+\}/g, "[^/]+")}$`).test(known),
    );
    // A literal segment goes before a parameter.
    return candidates.sort((a, b) => a.split("{").length - b.split("{").length)[0];
  }

  return async function check(method: string, path: string, response: Response): Promise<void> {
    const template = templateOf(path);
    const operation = template && paths[template]?.[method.toLowerCase()];
    if (!operation) {
      expect([404, 401, 429], `${method} ${path} is not documented`).toContain(response.status);
      return;
    }
    const what = `${method} ${template} → ${response.status}`;
    // What is wrong inside has no place in the document.
    if (response.status === 500) return;
    const answer = operation.responses[response.status];
    expect(answer, `${what} is not documented`).toBeDefined();
    const type = response.headers.get("content-type")?.replace(/;.*/, "");
    if (!answer?.content || !type) return;
    expect(Object.keys(answer.content), what).toContain(type);
    if (!type.includes("json")) return;
    const pointer = ["paths", template, method.toLowerCase(), "responses", response.status, "content", type, "schema"]
      .map((part) => encodeURIComponent(String(part).replaceAll("~", "~0").replaceAll("/", "~1")))
      .join("/");
    const validate = validators.get(pointer) ?? ajv.compile({ $ref: `${documentId}#/${pointer}` });
    validators.set(pointer, validate);
    const body: unknown = await response.clone().json();
    expect(validate(body), `${what}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body)}`).toBe(true);
  };
}
