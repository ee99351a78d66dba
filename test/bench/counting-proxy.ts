/**
 * A TCP relay on loopback that counts the bytes of both directions, headers included.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface CountingProxy {
  port: number;
  /** Since the start or the last call. */
  takeCounts(): { fromServerBytes: number; toServerBytes: number };
  stop(): Promise<void>;
}

export async function startCountingProxy(serverPort: number): Promise<CountingProxy> {
  let fromServerBytes = 0;
  let toServerBytes = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(serverPort, "127.0.0.1");
    client.on("data", (chunk) => {
      toServerBytes += chunk.length;
    });
    upstream.on("data", (chunk) => {
      fromServerBytes += chunk.length;
    });
    for (const [socket, peer] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.pipe(peer);
      socket.on("error", () => peer.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    takeCounts() {
      const counts = { fromServerBytes, toServerBytes };
      fromServerBytes = 0;
      toServerBytes = 0;
      return counts;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
