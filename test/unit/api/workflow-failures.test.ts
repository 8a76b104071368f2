import { ServiceError } from "@temporalio/client";
import { describe, expect, it } from "vitest";
import { unavailable } from "../../../api/workflow-failures.ts";
import { ReplError } from "../../../domain/errors.ts";

describe("a Temporal that does not answer", () => {
  const said = (error: unknown) => unavailable(error).message;
  const grpc = Object.assign(new Error("4 DEADLINE_EXCEEDED: Deadline exceeded after 15 s"), {
    code: 4,
    details: "Deadline exceeded after 15 s",
    metadata: {},
  });

  it("is told of in gRPC's words, also when the client has put its own around them", () => {
    const told = "The workflow service does not answer (Deadline exceeded after 15 s). Try again in a moment.";
    expect(said(grpc)).toBe(told);
    expect(said(new ServiceError("Failed to start Workflow", { cause: grpc }))).toBe(told);
  });

  it("is told of in the client's words when there are no others", () => {
    expect(said(new ServiceError("Failed to start Workflow"))).toMatch(/\(Failed to start Workflow\)/);
    expect(said(new Error("the client is closed"))).toMatch(/\(the client is closed\)/);
  });

  it("is not said of what is an error of ours already", () => {
    const refused = new ReplError("conflict", "This REPL is busy.");
    expect(unavailable(refused)).toBe(refused);
  });
});
