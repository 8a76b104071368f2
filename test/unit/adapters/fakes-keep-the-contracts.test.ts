import { describeObjectStore } from "../../contracts/object-store.ts";
import { describeReplDirectory } from "../../contracts/repl-directory.ts";
import { createFakeObjectStore } from "../../fakes/object-store.ts";
import { createFakeReplDirectory } from "../../fakes/repl-directory.ts";

describeObjectStore(() => createFakeObjectStore().store);
describeReplDirectory(() => createFakeReplDirectory().directory);
