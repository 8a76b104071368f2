import { stackVariable } from "../setup/stack-variables.ts";
import { describeRedisAdapters } from "./redis-adapters.ts";

describeRedisAdapters(() => stackVariable("REDIS_URL"));
