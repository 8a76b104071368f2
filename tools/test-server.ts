import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandExists, run } from "./stack/commands.ts";
import { installPackages, packagesOfMissing } from "./stack/packages.ts";
import { cacheFolder } from "./stack/settings.ts";

const version = "1.39.0";

const project = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>dev.devex</groupId><artifactId>test-server</artifactId><version>1</version>
<dependencies>
<dependency><groupId>io.temporal</groupId><artifactId>temporal-test-server</artifactId><version>${version}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
</dependencies></project>`;

/** Temporal's time-skipping server from Maven, once into the cache. Returns a program that the SDK can start. */
export async function prepareTestServer(): Promise<string> {
  const folder = join(cacheFolder, `temporal-test-server-${version}`);
  const program = join(folder, "test-server");
  if (existsSync(program) && (await commandExists("java"))) return program;
  await installPackages(await packagesOfMissing({ java: "default-jre-headless", mvn: "maven" }));
  const work = `${folder}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, "pom.xml"), project);
  await run("mvn", ["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars", "-DincludeScope=runtime"], {
    cwd: work,
    env: process.env,
  });
  // exec, because the SDK kills only the program that it started itself.
  const options =
    "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:SharedArchiveFile=$here/classes.jsa -Xlog:cds=off -Xshare:auto";
  const script = `#!/bin/sh\nhere=${folder}\nexec java ${options} -cp "$here/jars/*" io.temporal.testserver.TestServer "$@"\n`;
  writeFileSync(join(work, "test-server"), script);
  chmodSync(join(work, "test-server"), 0o755);
  rmSync(folder, { recursive: true, force: true });
  renameSync(work, folder);
  return program;
}
