import { expect } from "vitest";

/** Reads an answer that must be a whole problem (RFC 9457), with what the existing front end reads. */
export async function problemOf(response: Response) {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const body = (await response.json()) as Record<string, unknown>;
  expect(body).toMatchObject({
    type: expect.any(String) as string,
    title: expect.any(String) as string,
    status: response.status,
    requestId: expect.any(String) as string,
  });
  expect(body["error"]).toBe(body["detail"]);
  return { status: response.status, detail: String(body["detail"]) };
}
