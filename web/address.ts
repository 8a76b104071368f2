import { signal } from "@preact/signals";

/** What of the page is shown: its path, which links and the browser's buttons change. */
export const path = signal(location.pathname);

addEventListener("popstate", () => (path.value = location.pathname));

export function goTo(address: string): void {
  history.pushState(null, "", address);
  path.value = location.pathname;
  scrollTo(0, 0);
}

export const roomAddress = (replId: string): string => `/room/${replId}`;

/** The id of the REPL whose room an address shows. */
export function replIdIn(address: string): string | undefined {
  return /^\/room\/(repl-[a-z0-9-]{1,35})\/?$/.exec(address)?.[1];
}

/** For a link within the page: follows it without a load, unless it was meant for another tab. */
export function follow(event: MouseEvent & { currentTarget: HTMLAnchorElement }): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  goTo(event.currentTarget.pathname);
}
