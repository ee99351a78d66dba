/**
 * Ports of this machine's loopback, found inside a network namespace that has no other way out.
 * A short-lived child binds them inside and hands the listening sockets to us: a socket stays where it was made.
 */
import { fork } from "node:child_process";
import { connect, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";

/** Listens on `address` inside the network that `words` lead into; each client gets the same port of 127.0.0.1. */
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
          // One end that breaks takes the other with it, as a broken line would.
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
