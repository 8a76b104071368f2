import { effect, signal } from "@preact/signals";
import { render, type ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { api, bodyOf, type AuthStatus } from "./api.ts";
import { follow, goTo, path, replIdIn } from "./address.ts";
import { Dashboard } from "./dashboard/dashboard.tsx";
import { Notice } from "./notice.tsx";
import { SignIn } from "./sign-in.tsx";
import { ThemeButton } from "./theme.tsx";
import type { RoomProps } from "./room/room.tsx";
import { reasonOf } from "./words.ts";
import "@xterm/xterm/css/xterm.css";
import "./page.css";
import "./dashboard/dashboard.css";
import "./room/room.css";
import "./room/editor.css";

const session = signal<AuthStatus | undefined>(undefined);
const failure = signal("");
/** Editor and terminal come with the first room. */
const room = signal<ComponentType<RoomProps> | undefined>(undefined);

async function readSession(): Promise<void> {
  try {
    session.value = await bodyOf(api.auth.status.$get());
    failure.value = "";
  } catch (error) {
    failure.value = reasonOf(error);
  }
}

async function signOut(): Promise<void> {
  await bodyOf(api.auth.logout.$post()).catch(() => {});
  // What rooms keep for a reload is nobody else's to read.
  sessionStorage.clear();
  goTo("/");
  await readSession();
}

async function loadRoom(): Promise<void> {
  try {
    room.value = (await import("./room/room.tsx")).Room;
  } catch {
    failure.value = "The editor could not be loaded. Look at your connection and load this page again.";
  }
}

effect(() => {
  if (replIdIn(path.value) && !room.peek()) void loadRoom();
});

function Page() {
  const replId = replIdIn(path.value);
  const user = session.value?.user;
  const isRoom = replId !== undefined && user !== undefined;
  useEffect(() => {
    if (!isRoom) document.title = "Devex";
  }, [isRoom]);

  if (failure.value && !session.value)
    return (
      <main class="narrow">
        <Notice kind="error">{failure.value}</Notice>
        <button type="button" onClick={() => void readSession()}>
          Try again
        </button>
      </main>
    );
  if (!session.value) return <main class="narrow" aria-busy="true" />;
  if (!user) return <SignIn ways={session.value.sign_in} onSignedIn={readSession} />;
  if (isRoom) {
    const Room = room.value;
    if (!Room) return <main class="narrow">{failure.value && <Notice kind="error">{failure.value}</Notice>}</main>;
    return <Room key={replId} replId={replId} />;
  }
  return (
    <>
      <header class="top">
        <a class="brand" href="/" onClick={follow}>
          Devex
        </a>
        <span class="who">
          <bdi>{user.name || user.login}</bdi>
        </span>
        <ThemeButton />
        <button type="button" class="quiet" onClick={() => void signOut()}>
          Sign out
        </button>
      </header>
      <Dashboard />
    </>
  );
}

void readSession();
render(<Page />, document.getElementById("page") as HTMLElement);
