import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";
import { describeObjectStore } from "./object-store.ts";

describeObjectStore(() => createS3ObjectStore(stackObjectStore()));
