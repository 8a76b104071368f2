import { createS3ObjectStore } from "../../adapters/s3-object-store.ts";
import { stackVariable } from "../setup/stack-variables.ts";
import { describeObjectStore } from "./object-store.ts";

describeObjectStore(() =>
  createS3ObjectStore({
    endpoint: stackVariable("S3_ENDPOINT"),
    region: stackVariable("S3_REGION"),
    bucket: stackVariable("S3_BUCKET"),
    accessKey: stackVariable("S3_ACCESS_KEY"),
    secretKey: stackVariable("S3_SECRET_KEY"),
  }),
);
