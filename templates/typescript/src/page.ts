interface Visit {
  readonly version: string;
  readonly path: string;
}

export function page({ version, path }: Visit): string {
  return `<h1>Hello from TypeScript on Node ${version}</h1><p>You asked for <code>${escape(path)}</code></p>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
