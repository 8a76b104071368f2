import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { chromium, type Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { startGithub, type Github } from "../fakes/github.ts";
import { freePort } from "../../tools/free-port.ts";
import { startProgram } from "../setup/program.ts";
import { responds } from "../../tools/responds.ts";
import "../setup/stack-variables.ts";

const patience = { timeout: 30_000, interval: 100 };

/** A page of the front end: says which address it was opened at, and whom the API takes its visitor for. */
const page = (apiUrl: string) => `<!doctype html><title>Front end</title><p id="user"></p><script>
  fetch("${apiUrl}/auth/me", { credentials: "include", headers: { "content-type": "application/json" } })
    .then(async (answer) => { document.getElementById("user").textContent = answer.ok ? (await answer.json()).login : "nobody"; });
</script>`;

describe("sign-in with GitHub in a browser", () => {
  let github: Github;
  let frontEnd: Server;
  const programs: ChildProcess[] = [];
  let browser: Browser;
  let apiUrl: string;
  let frontEndUrl: string;

  beforeAll(async () => {
    github = await startGithub();
    Object.assign(github.state, { autoApprove: false });
    frontEnd = createServer((_request, response) => {
      response.setHeader("content-type", "text/html").end(page(apiUrl));
    }).listen(0, "127.0.0.1");
    await once(frontEnd, "listening");
    frontEndUrl = `http://localhost:${(frontEnd.address() as AddressInfo).port}`;
    apiUrl = await startApi({ FRONTEND_URL: frontEndUrl });
    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser.close();
    for (const program of programs) {
      program.kill("SIGTERM");
      await once(program, "exit");
    }
    frontEnd.closeAllConnections();
    frontEnd.close();
    await github.close();
  });

  async function startApi(changes: Readonly<Record<string, string>> = {}): Promise<string> {
    const port = await freePort();
    const url = `http://localhost:${port}`;
    const { id, secret } = github.application;
    programs.push(
      startProgram("api", {
        ...process.env,
        ...inject("stack"),
        PORT: String(port),
        API_URL: url,
        GITHUB_ID: id,
        GITHUB_SECRET: secret,
        GITHUB_URL: github.url,
        ...changes,
      }),
    );
    await vi.waitUntil(() => responds(`${url}/readyz`), patience);
    return url;
  }

  async function signIn() {
    const context = await browser.newContext();
    const tab = await context.newPage();
    await tab.goto(`${apiUrl}/auth/github`);
    await tab.click("#authorize");
    await tab.waitForURL(`${frontEndUrl}/dashboard`);
    await tab.getByText("octocat").waitFor();
    return { context, tab };
  }

  it("ends on the dashboard, where the front end knows who it is, until they sign out", async () => {
    const { context, tab } = await signIn();
    const names = (await context.cookies(apiUrl)).map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite]);
    expect(names).toEqual([["devex_session", true, "Lax"]]);
    expect(await tab.evaluate("document.cookie")).toBe("");
    const status = await tab.evaluate<number>(
      `fetch("${apiUrl}/auth/logout", { method: "POST", credentials: "include" }).then((answer) => answer.status)`,
    );
    expect(status).toBe(200);
    await tab.reload();
    await tab.getByText("nobody").waitFor();
    await context.close();
  });

  it("ends on the login page for whoever presses Cancel, and does not go round", async () => {
    const context = await browser.newContext();
    const tab = await context.newPage();
    await tab.goto(`${apiUrl}/auth/github/login`);
    await tab.click("#cancel");
    await tab.waitForURL(`${frontEndUrl}/login?error=access_denied`);
    expect(await context.cookies(apiUrl)).toEqual([]);
    await context.close();
  });

  it("begins at the button of our own page, which says when somebody pressed Cancel, and ends in their list", async () => {
    const ownUrl = await startApi();
    const context = await browser.newContext();
    const tab = await context.newPage();
    await tab.goto(ownUrl);
    const button = tab.getByRole("link", { name: "Sign in with GitHub" });
    await button.click();
    await tab.click("#cancel");
    await tab.getByText("You pressed Cancel at GitHub.").waitFor();
    await button.click();
    await tab.click("#authorize");
    await tab.getByRole("heading", { name: "Your REPLs" }).waitFor();
    await tab.getByText("octocat").first().waitFor();
    await tab.getByRole("button", { name: "Sign out" }).click();
    await button.waitFor();
    await context.close();
  });

  it("lets no page of somebody else use the session", async () => {
    const { context, tab } = await signIn();
    const foreign = createServer(
      (_request, response) => void response.setHeader("content-type", "text/html").end("<p>"),
    );
    foreign.listen(0, "127.0.0.1");
    await once(foreign, "listening");
    await tab.goto(`http://localhost:${(foreign.address() as AddressInfo).port}/`);
    for (const call of [
      `fetch("${apiUrl}/api/repl", { credentials: "include" })`,
      `fetch("${apiUrl}/auth/logout", { method: "POST", credentials: "include" })`,
    ])
      expect(await tab.evaluate<string>(`${call}.then(() => "read", () => "refused")`)).toBe("refused");
    await tab.goto(`${frontEndUrl}/dashboard`);
    await tab.getByText("octocat").waitFor();
    foreign.closeAllConnections();
    foreign.close();
    await context.close();
  });
});
