/**
 * Run inside a network namespace: listens on ADDRESS and each PORT, and hands the listening sockets to the process outside.
 * Started by port-relay.ts alone.
 */
import { once } from "node:events";
import { createServer } from "node:net";

const [address = "", ...ports] = process.argv.slice(2);
for (const port of ports.map(Number)) {
  const server = createServer();
  server.listen(port, address);
  await once(server, "listening");
  await new Promise<void>((resolve, reject) => {
    process.send?.(port, server, {}, (error) => (error ? reject(error) : resolve()));
  });
  // The sender's own copy would take half of the clients.
  server.close();
}
process.disconnect?.();
