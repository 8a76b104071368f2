import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { stackObjectStore } from "../setup/stack-variables.ts";
import { describeSaves } from "./saves.ts";

describeSaves(() => createS3ObjectStore(stackObjectStore()));
