/**
 * Forwards loopback ports of this machine into a network namespace without other connections.
 * A short-lived child listens inside and passes the sockets to us: a socket stays in the namespace that created it.
 */
import { fork } from "node:child_process";
import { connect, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";

/** Listens on `address` in the network that `words` enter, and connects each client to the same port of 127.0.0.1. */
export async function relayPorts(
  words: readonly string[],
  address: string,
  ports: readonly number[],
): Promise<{ stop(): Promise<void> }> {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const [execPath = "", ...execArgv] = [...words, process.execPath];
  const child = fork(
    fileURLToPath(import.meta.resolve("./listen-inside.ts")),
    [address, ...ports.map(String)],
    {
      execPath,
      execArgv,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    },
  );
  await new Promise<void>((resolve, reject) => {
    child.on("message", (port: number, handle) => {
      const server = handle as Server;
      servers.push(server);
      server.on("connection", (inside) => {
        const outside = connect(port, "127.0.0.1");
        for (const [socket, peer] of [
          [inside, outside],
          [outside, inside],
        ] as const) {
          sockets.add(socket);
          socket.pipe(peer);
          // An error on one side closes the other.
          socket.on("error", () => peer.destroy());
          socket.on("close", () => sockets.delete(socket));
        }
      });
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      if (servers.length === ports.length) resolve();
      else reject(new Error(`Cannot listen for the DUT: the helper ended with ${code}`));
    });
  });
  return {
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
