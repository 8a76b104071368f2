import { beforeAll } from "vitest";
import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";
import { openStackBucket } from "../setup/stack-bucket.ts";
import { describeSaves } from "./saves.ts";

beforeAll(() => openStackBucket());
describeSaves(() => createS3ObjectStore(stackObjectStore()));
