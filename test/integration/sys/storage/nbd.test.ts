/** What servers may answer before the kernel takes over. That the kernel does is shown by a boot (test/boot/machine). */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { AgentError } from "../../../../agent/errors.ts";
import { attachNetworkBlockDevice } from "../../../../agent/sys/storage/nbd.ts";

let server: Server | undefined;
afterEach(() => server?.close());

/** Reads of the client are exact, so the server only has to send and to keep what came. */
async function startServer(
  speak: (socket: Socket) => void,
): Promise<{ port: number; received: () => Buffer }> {
  const chunks: Buffer[] = [];
  server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => chunks.push(chunk));
    speak(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, received: () => Buffer.concat(chunks) };
}

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const NEWSTYLE = "4e42444d41474943 49484156454f5054";
const MEGABYTE = "0000000000100000";

async function attach(port: number, connections = 1): Promise<{ error?: AgentError; lines: string[] }> {
  const lines: string[] = [];
  const tell = (line: string) => void lines.push(line);
  try {
    await attachNetworkBlockDevice(
      // No kernel has so many: what a test learns ends before one is touched.
      { device: "/dev/nbd9999", host: "127.0.0.1", port, connections },
      { log: { debug: tell, info: tell, warn: tell }, loadModule: async () => false, connectMs: 300 },
    );
    return { lines };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { error, lines };
  }
}

const CASES: { name: string; speak: (socket: Socket) => void; says: RegExp; sends?: string }[] = [
  {
    name: "fixed newstyle, without padding",
    speak: (socket) => socket.write(hex(`${NEWSTYLE} 0003 ${MEGABYTE} 0101`)),
    says: /no such block device after 0.3 s/,
    sends: "00000003 49484156454f5054 00000001 00000000",
  },
  {
    name: "newstyle of old, with padding",
    speak: (socket) => socket.write(hex(`${NEWSTYLE} 0000 ${MEGABYTE} 0101 ${"00".repeat(124)}`)),
    says: /no such block device/,
    sends: "00000000 49484156454f5054 00000001 00000000",
  },
  {
    name: "oldstyle",
    speak: (socket) =>
      socket.write(hex(`4e42444d41474943 0000420281861253 ${MEGABYTE} 00000001 ${"00".repeat(124)}`)),
    says: /no such block device/,
    sends: "",
  },
  {
    name: "a server without a default export",
    speak: (socket) => socket.end(hex(`${NEWSTYLE} 0003`)),
    says: /has no default export/,
  },
  {
    name: "another kind of server",
    speak: (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"),
    says: /not an NBD server/,
  },
  {
    name: "a later kind of NBD",
    speak: (socket) => socket.write(hex("4e42444d41474943 1122334455667788")),
    says: /unknown handshake/,
  },
  {
    name: "an empty export",
    speak: (socket) => socket.write(hex(`${NEWSTYLE} 0003 0000000000000000 0101`)),
    says: /0 bytes/,
  },
  {
    name: "a server that hangs up",
    speak: (socket) => socket.destroy(),
    says: /closed the connection|ECONNRESET/,
  },
  { name: "a server that says nothing", speak: () => {}, says: /EAGAIN|EWOULDBLOCK/ },
];

describe("handshakes", () => {
  test.each(CASES)("$name", async ({ speak, says, sends }) => {
    const { port, received } = await startServer(speak);
    const { error } = await attach(port);
    expect(error?.code).toBe("MACHINE_NBD_FAILED");
    expect(error?.message).toMatch(says);
    if (sends !== undefined) expect(received()).toEqual(hex(sends));
  });

  test("several connections only where the server shares its export", async () => {
    for (const { flags, expected } of [
      { flags: "0101", expected: 3 },
      { flags: "0001", expected: 1 },
    ]) {
      let count = 0;
      const { port } = await startServer((socket) => {
        count++;
        socket.write(hex(`${NEWSTYLE} 0003 ${MEGABYTE} ${flags}`));
      });
      const { lines } = await attach(port, 3);
      expect(count).toBe(expected);
      expect(lines).toHaveLength(expected === 1 ? 1 : 0);
      server!.close();
    }
  });

  test("logs a failure of an optional device and continues", async () => {
    const lines: string[] = [];
    const tell = (line: string) => void lines.push(line);
    const log = { debug: tell, info: tell, warn: tell };
    const wish = { device: "/dev/nbd0", host: "127.0.0.1", port: 1, connections: 1 };
    const device = await attachNetworkBlockDevice(wish, {
      log,
      loadModule: async () => false,
      isOptional: true,
    });
    device.release();
    expect(lines).toEqual([expect.stringMatching(/^machine: NO \/dev\/nbd0: Cannot attach .*ECONNREFUSED/)]);
  });

  test("no server", async () => {
    expect((await attach(1)).error?.message).toMatch(/ECONNREFUSED/);
  });
});
