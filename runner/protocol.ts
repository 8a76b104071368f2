/** The frames of the editor's WebSocket: `{"event": name, "data": any}`, one a message, both ways. */
export interface Frame {
  readonly event: string;
  readonly data: unknown;
}

export interface FolderItem {
  readonly name: string;
  readonly isDir: boolean;
}

/** Sends a frame to one connection. */
export type Send = (event: string, data?: unknown) => void;

/** Larger messages close the connection: no editor sends one, and memory is bounded. */
export const maximumMessageBytes = 8 * 1024 * 1024;

export function parseFrame(text: string): Frame {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || typeof (value as Frame).event !== "string")
    throw new Error('send {"event": name, "data": …}');
  return { event: (value as Frame).event, data: (value as Frame).data };
}

/** Reads a text field of a frame's data. Throws an error that names the field. */
export function textField(data: unknown, ...names: readonly string[]): string {
  const value = optionalField(data, ...names);
  if (typeof value !== "string") throw new Error(`${names[0]}: a text is needed`);
  return value;
}

export function numberField(data: unknown, name: string, minimum: number, maximum: number): number {
  const value = optionalField(data, name);
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum)
    throw new Error(`${name}: a whole number from ${minimum} to ${maximum} is needed`);
  return value;
}

export function optionalField(data: unknown, ...names: readonly string[]): unknown {
  if (typeof data !== "object" || data === null) return undefined;
  return names.map((name) => (data as Record<string, unknown>)[name]).find((value) => value !== undefined);
}
