/** What to do about what went wrong. Pure. */

/** Of reasons as they come from the API: the first that fits. */
const advices: readonly (readonly [RegExp, string])[] = [
  [
    /^Saving failed/,
    "It is tried again by itself, and its container is kept. If it goes on failing, open it again and mend or download what cannot be saved.",
  ],
  [
    /ImagePull|ErrImage|InvalidImageName/,
    "The image of its template cannot be had. Wait, or cancel and take another template; whoever runs this server can mend it.",
  ],
  [
    /not scheduled|Insufficient|nodes are available|exceeded quota/,
    "There is no room for it just now. It starts by itself when there is; closing another one makes room sooner.",
  ],
  [
    /cannot be restored/,
    "Its saves are as they were. Try again; an earlier save can be looked at, and gone back to, in its history.",
  ],
  [
    /Error$|CrashLoop|cannot start|did not answer within/,
    "Try again. If it fails once more, tell whoever runs this server what it says here.",
  ],
  [/does not answer|cannot answer|unavailable/, "It is tried again by itself, and nothing that was saved is lost."],
];

/** Whether a close that is under way has failed to save, and is tried again. */
export function isFailingClose(reason: string | undefined): boolean {
  return reason?.startsWith("Saving failed") ?? false;
}

/** What its owner can do about a reason, in a sentence or two; undefined where the reason says it, or nobody knows. */
export function adviceFor(reason: string): string | undefined {
  return advices.find(([pattern]) => pattern.test(reason))?.[1];
}
