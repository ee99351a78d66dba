/**
 * A reverse proxy in front of a real HTTP server that refuses chosen requests with S3's AccessDenied, which no client repeats. It keeps
 * the Host header, so that signatures stay valid.
 */
import { once } from "node:events";
import { createServer, request as sendRequest } from "node:http";
import type { AddressInfo } from "node:net";

export interface FailingProxy {
  url: string;
  /** Requests since `reset`. */
  readonly requests: number;
  /** From now on, refuses the requests with these numbers, from 1. */
  reset(refuses?: (number: number) => boolean): void;
  close(): Promise<void>;
}

export async function startFailingProxy(target: string): Promise<FailingProxy> {
  const { hostname, port } = new URL(target);
  let requests = 0;
  let refuses = (_number: number): boolean => false;
  const server = createServer((incoming, outgoing) => {
    if (refuses(++requests)) {
      incoming.resume();
      outgoing.writeHead(403, { "content-type": "application/xml" });
      outgoing.end("<Error><Code>AccessDenied</Code></Error>");
      return;
    }
    const { method, url: path, headers } = incoming;
    const forwarded = sendRequest({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on("error", () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return requests;
    },
    reset(next = () => false) {
      requests = 0;
      refuses = next;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
