import { createServer } from "node:http";

const port = 3000;

createServer((request, response) => {
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(`<h1>Hello from Node ${process.version}</h1><p>You asked for <code>${escape(request.url)}</code></p>`);
}).listen(port, () => console.log(`Listening on port ${port}`));

function escape(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
