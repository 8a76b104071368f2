import { defineConfig } from "vitest/config";

/** It takes a minute of the store's time. */
const bigFile = "test/contracts/big-file.test.ts";
/** What runs in the sync containers, which is all that Bun runs. */
const ofSyncProgram = [
  "test/unit/adapters/fetch-http-client.test.ts",
  "test/unit/sync/{after-crash,big-files,checkpoints,file-writer,not-saved,report,restore,save-report,saves}.test.ts",
  "test/contracts/{full-disk,killed-saves,machine-keys,object-store,saves,sts-credentials}.test.ts",
  bigFile,
];

/**
 * Kinds of tests: what needs no server; workflows on Temporal's test server; adapters and the whole flow on the stack.
 * "bun" is the sync program's once more, for `npm run test:bun`.
 */
export default defineConfig({
  test: {
    projects: [
      // Shells and sockets are waited for, not timed: a busy machine takes long for them.
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 30_000 } },
      {
        test: {
          name: "workflows",
          include: ["test/workflows/**/*.test.ts", "test/faults/**/*.test.ts"],
          globalSetup: ["test/setup/workflow-bundle.ts"],
          pool: "forks",
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "contract",
          include: ["test/contracts/**/*.test.ts"],
          exclude: [bigFile],
          globalSetup: ["test/setup/stack.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "bun",
          include: ofSyncProgram,
          globalSetup: ["test/setup/running-stack.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/setup/stack.ts", "test/setup/programs.ts"],
          setupFiles: ["test/setup/audit-after-each.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
