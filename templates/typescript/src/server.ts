import { createServer } from "node:http";
import { page } from "./page.ts";

const port = 3000;

createServer((request, response) => {
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(page({ version: process.version, path: request.url ?? "/" }));
}).listen(port, () => console.log(`Listening on port ${port}`));
