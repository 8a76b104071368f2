/** True when somebody answers there, and with success. Never throws. */
export function responds(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}
