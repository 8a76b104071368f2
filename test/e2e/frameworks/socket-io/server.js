import { createServer } from "node:http";
import { Server } from "socket.io";

const page = `<!doctype html><h1>Waiting</h1><script src="/socket.io/socket.io.js"></script><script>
const socket = io();
socket.io.engine.on("upgrade", () => socket.emit("question", "Hello from socket.io", (answer) => {
  document.querySelector("h1").textContent = answer + " by " + socket.io.engine.transport.name;
}));
</script>`;
const server = createServer((request, response) => response.setHeader("content-type", "text/html").end(page));
new Server(server).on("connection", (socket) => socket.on("question", (text, answer) => answer(text)));
server.listen(3004);
