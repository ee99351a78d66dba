/** The NFS server answers for each version on the ports it names, and is gone with all its helpers once stopped. */
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type NfsServer, startNfsServer } from "../../../qemu/farm/nfs-server.ts";
import { ensureToolsRoot } from "../../../qemu/tools-root.ts";

const NFS = 100003;
const MOUNT = 100005;
let folder: string;
let server: NfsServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-nfs-"));
  const tools = await ensureToolsRoot({ log: () => {} });
  const shares = [{ directory: folder, path: "/export", isWritable: false }];
  server = await startNfsServer({ tools, folder, shares, onDeath: () => {} });
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true });
});

/** The state of the NULL call's reply: 0 is success, 2 a version that is not spoken (RFC 5531). */
async function callNull(port: number, program: number, version: number): Promise<number> {
  const words = [1, 0, 2, program, version, 0, 0, 0, 0, 0];
  const call = Buffer.alloc(4 + words.length * 4);
  call.writeUInt32BE(0x8000_0000 + words.length * 4, 0);
  words.forEach((word, index) => {
    call.writeUInt32BE(word, 4 + index * 4);
  });
  const socket = connect(port, "127.0.0.1").setTimeout(10_000, () => socket.destroy(new Error("no reply")));
  socket.write(call);
  for await (const reply of socket as AsyncIterable<Buffer>) {
    socket.destroy();
    return reply.readUInt32BE(24);
  }
  throw new Error("closed without a reply");
}

it("the server supports NFS 3 and 4 and the MOUNT protocol, but not NFS 2", async () => {
  expect(await callNull(server.port, NFS, 3)).toBe(0);
  expect(await callNull(server.port, NFS, 4)).toBe(0);
  expect(await callNull(server.mountPort, MOUNT, 3)).toBe(0);
  expect(await callNull(server.port, NFS, 2)).toBe(2);
});

it("the server has ended after a stop", async () => {
  await server.stop();
  await expect(callNull(server.port, NFS, 4)).rejects.toThrow("ECONNREFUSED");
});
