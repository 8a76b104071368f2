/** The closed list of reasons an operation can end for. The API maps each to one HTTP status. */
export const replErrorCodes = [
  "invalid",
  "unauthorized",
  "forbidden",
  "not_found",
  "conflict",
  "quota_exceeded",
  "unavailable",
] as const;

export type ReplErrorCode = (typeof replErrorCodes)[number];

/**
 * A failure whose message may be shown to the user. `unavailable` is worth a retry; every other code is
 * final for the same input. Any other kind of error is internal and never shown.
 */
export class ReplError extends Error {
  override readonly name = "ReplError";
  readonly code: ReplErrorCode;

  constructor(code: ReplErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function isReplErrorCode(value: unknown): value is ReplErrorCode {
  return replErrorCodes.includes(value as ReplErrorCode);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
