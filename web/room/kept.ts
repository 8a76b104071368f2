/** What this window keeps of a room, under a name, for when the page is loaded again. Signing out forgets it. */
export function keptInWindow<Kept>(name: string, replId: string) {
  const key = `devex-${name}-${replId}`;
  return {
    read(): Kept | undefined {
      const text = sessionStorage.getItem(key);
      return text === null ? undefined : (JSON.parse(text) as Kept);
    },
    /** Throws when it is more than a browser keeps. */
    write: (kept: Kept) => sessionStorage.setItem(key, JSON.stringify(kept)),
    forget: () => sessionStorage.removeItem(key),
  };
}
