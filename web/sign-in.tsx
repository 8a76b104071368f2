import { useState } from "preact/hooks";
import { api, bodyOf, type AuthStatus } from "./api.ts";
import { Notice } from "./notice.tsx";
import { ThemeButton } from "./theme.tsx";
import { reasonOf } from "./words.ts";

interface SignInProps {
  readonly ways: AuthStatus["sign_in"];
  readonly onSignedIn: () => Promise<void>;
}

/** Of `/login?error=CODE`. Anybody can write such a link, so nothing but a code is shown of it. */
function failureInWords(code: string): string {
  if (code === "access_denied") return "You pressed Cancel at GitHub. Sign in again whenever you like.";
  const known = /^[a-z_]{1,40}$/.test(code) ? ` (${code})` : "";
  return `GitHub did not sign you in${known}. Try again in a moment.`;
}

export function SignIn({ ways, onSignedIn }: SignInProps) {
  const code = new URLSearchParams(location.search).get("error");
  return (
    <main class="narrow sign-in">
      <div class="corner">
        <ThemeButton />
      </div>
      <h1>Devex</h1>
      <p>Write and run code in a container of your own. Close it, and find every byte again the next time.</p>
      {code && <Notice kind="error">{failureInWords(code)}</Notice>}
      {ways.includes("github") && (
        <a class="button primary" href="/auth/github">
          Sign in with GitHub
        </a>
      )}
      {ways.includes("development") && <DevelopmentSignIn onSignedIn={onSignedIn} />}
      {ways.length === 0 && (
        <Notice kind="error">
          Nobody can sign in: this server has no GITHUB_ID and GITHUB_SECRET. Its operator finds them in the README.
        </Notice>
      )}
    </main>
  );
}

function DevelopmentSignIn({ onSignedIn }: Pick<SignInProps, "onSignedIn">) {
  const [login, setLogin] = useState("");
  const [failure, setFailure] = useState("");
  const [isBusy, setBusy] = useState(false);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    try {
      await bodyOf(api.auth.dev.$post({ json: { login: login.trim() } }));
      await onSignedIn();
    } catch (error) {
      setFailure(reasonOf(error));
      setBusy(false);
    }
  }

  return (
    <form onSubmit={(event) => void submit(event)}>
      <label for="login">A name to try it with</label>
      <div class="row">
        <input
          id="login"
          name="login"
          value={login}
          onInput={({ currentTarget }) => setLogin(currentTarget.value)}
          autocomplete="username"
          autocapitalize="off"
          spellcheck={false}
          required
          maxLength={39}
          placeholder="octocat"
          aria-describedby="login-hint"
          autofocus
        />
        <button type="submit" class="primary" disabled={isBusy}>
          Sign in
        </button>
      </div>
      <p id="login-hint" class="hint">
        Any name will do, without a password: this server runs for development.
      </p>
      {failure && <Notice kind="error">{failure}</Notice>}
    </form>
  );
}
