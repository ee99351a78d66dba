/**
 * A real HTTP server that stores what is PUT to it and sends its MD5 as S3 does. A test can make it misbehave.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type MisbehavingServer, startServer } from "./misbehaving-server.ts";

export interface KeepingServer extends MisbehavingServer {
  /** By path, without the leading slash. */
  kept: Map<string, Buffer>;
  /** In the order of arrival. */
  puts: string[];
}

/** Called for each PUT, with its number from 1 on; true when it has sent the response. */
export type Fault = (put: {
  number: number;
  name: string;
  request: IncomingMessage;
  response: ServerResponse;
}) => boolean | undefined;

export async function startKeepingServer(fault: Fault = () => false): Promise<KeepingServer> {
  const kept = new Map<string, Buffer>();
  const puts: string[] = [];
  const server = await startServer((request, response) => {
    const name = decodeURIComponent(request.url!.slice(1));
    const body = kept.get(name);
    if (request.method !== "PUT") {
      response.writeHead(body ? 200 : 404, body && { "content-length": String(body.length) });
      response.end(request.method === "GET" ? body : undefined);
      return;
    }
    puts.push(name);
    if (fault({ number: puts.length, name, request, response })) return;
    const sent = server.requests.findLast(
      ({ method, path }) => method === "PUT" && path === request.url,
    )!.body;
    kept.set(name, sent);
    response.writeHead(200, { etag: `"${createHash("md5").update(sent).digest("hex")}"` }).end();
  });
  return { ...server, kept, puts };
}
