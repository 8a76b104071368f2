/** Sizes, times and states as people say them. Pure. */

const units = ["bytes", "KB", "MB", "GB", "TB"];

/** `bytes` in the largest unit that leaves a number of at least 1. */
export function sizeInWords(bytes: number): string {
  if (bytes === 1) return "1 byte";
  const step = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const value = bytes / 1000 ** step;
  return `${step > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

/** How long before `now` something was, roughly. */
export function agoInWords(at: string, now: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(at)) / 1000));
  if (seconds < 3) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  const days = Math.round(hours / 24);
  return days < 30 ? `${countInWords(days, "day")} ago` : `on ${dateInWords(at)}`;
}

export function dateInWords(at: string): string {
  return new Date(at).toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });
}

export function momentInWords(at: string): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export function durationInWords(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

export function countInWords(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? "" : "s"}`;
}

const states: Readonly<Record<string, string>> = {
  creating: "Being created",
  starting: "Starting",
  running: "Open",
  stopping: "Being saved and closed",
  stopped: "Closed",
  deleting: "Being deleted",
  failed: "Failed",
};

export function stateInWords(status: string): string {
  return states[status] ?? status;
}

/** What went wrong, of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
