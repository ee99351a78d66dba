/**
 * Runs inside a network namespace: listens on ADDRESS and each PORT, and passes the sockets to the process outside.
 * Only port-relay.ts starts it.
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
  // Otherwise this process would accept half of the clients.
  server.close();
}
process.disconnect?.();
