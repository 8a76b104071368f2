import { defineUpdate } from "@temporalio/workflow";

/** Answers as soon as the REPL has its place in the quota: from then on the rest can be followed by its status. */
export const accepted = defineUpdate<void>("accepted");
