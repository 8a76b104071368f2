import { connect, createServer } from "node:net";

/**
 * Lets pods reach servers that listen on loopback: forwarder.ts ADDRESS PORT...
 * Each port of the address leads to the same one of loopback. Who may use it is for the network policies to say.
 */

const [address = "", ...ports] = process.argv.slice(2);
for (const port of ports.map(Number)) {
  const server = createServer((incoming) => {
    const outgoing = connect(port, "127.0.0.1");
    incoming.pipe(outgoing).pipe(incoming);
    incoming.on("error", () => outgoing.destroy());
    outgoing.on("error", () => incoming.destroy());
  });
  server.listen(port, address);
}
