import { beforeAll } from "vitest";
import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";
import { describeSaves } from "./saves.ts";

beforeAll(() => createS3ObjectStore(stackObjectStore()).prepare());
describeSaves(() => createS3ObjectStore(stackObjectStore()));
