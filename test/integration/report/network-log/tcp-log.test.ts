/** The raw copy of the log against readers that come late, go away, take nothing, or are not there at all. */
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { createRawLog, type RawLogOptions } from "../../../../agent/report/network-log/tcp-log.ts";

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** A reader on a port of its own; each connection's bytes in a place of their own. */
async function startReader(port = 0, onSocket: (socket: Socket) => void = () => {}) {
  const texts: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    const at = texts.push("") - 1;
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
    socket.on("data", (chunk) => {
      texts[at] = texts[at]! + chunk;
    });
  });
  const stop = () => {
    for (const socket of sockets) socket.resetAndDestroy();
    server.close();
  };
  cleanUps.push(stop);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address() as { port: number };
  return { texts, sockets, stop, port: address.port };
}

function createLog(options: Partial<RawLogOptions> = {}) {
  const lines: string[] = [];
  const tell = (line: string) => void lines.push(line);
  const log = createRawLog({
    log: { info: tell, warn: tell },
    retryMs: 20,
    flushMs: 300,
    ...options,
  });
  return { log, lines };
}

async function waitUntil(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !isTrue(); tries++) await sleep(10);
  expect(isTrue()).toBe(true);
}

test("everything from the first line on, before the reader was named", async () => {
  const reader = await startReader();
  const { log } = createLog();
  log.line("first");
  log.output(Buffer.from("half a line"));
  log.start({ host: "127.0.0.1", port: reader.port });
  log.line("last");
  await log.close();
  expect(reader.texts).toEqual(["first\nhalf a line\nlast\n"]);
});

test("the test's line stays whole, whoever speaks in between", async () => {
  const reader = await startReader();
  const { log } = createLog();
  log.start({ host: "127.0.0.1", port: reader.port });
  log.output(Buffer.from("hwci: mesa: "));
  log.line("[ 12.000] dutboot: still here");
  log.output(Buffer.from("exit_code: 0\n"));
  await log.close();
  expect(reader.texts).toEqual(["hwci: mesa: exit_code: 0\n[ 12.000] dutboot: still here\n"]);
});

test("a reader that comes late", async () => {
  const first = await startReader();
  first.stop();
  const { log, lines } = createLog();
  log.start({ host: "127.0.0.1", port: first.port });
  log.line("early");
  await sleep(100);
  const second = await startReader(first.port);
  await waitUntil(() => second.texts[0] === "early\n");
  await log.close();
  expect(lines.filter((line) => line.includes("does not take the log"))).toHaveLength(1);
});

test("a connection that breaks is made again, and the log goes on", async () => {
  const reader = await startReader();
  const { log } = createLog();
  log.start({ host: "127.0.0.1", port: reader.port });
  log.line("one");
  await waitUntil(() => reader.texts[0] === "one\n");
  for (const socket of reader.sockets) socket.resetAndDestroy();
  await sleep(50);
  log.line("two");
  await waitUntil(() => reader.texts[1] === "two\n");
  await log.close();
});

test("a reader that takes nothing: memory is bounded, what is lost is counted, the newest is kept", async () => {
  const reader = await startReader();
  const { log } = createLog({ queueBytes: 1000 });
  for (let count = 0; count < 100; count++) log.output(Buffer.from(`${String(count).padEnd(98)}.\n`));
  log.start({ host: "127.0.0.1", port: reader.port });
  await log.close();
  const [text] = reader.texts;
  expect(text).toMatch(/^\n\[dutboot: 9000 bytes of the log left out here: nobody took them\]\n90 /);
  expect(text).toMatch(/99 +\.\n$/);
});

test("a reader that hangs is left, and the end does not wait for it", async () => {
  const reader = await startReader(0, (socket) => socket.pause());
  const { log, lines } = createLog({ stallMs: 100, queueBytes: 64 * 1024 * 1024 });
  log.start({ host: "127.0.0.1", port: reader.port });
  for (let count = 0; count < 32; count++) log.output(Buffer.alloc(1024 * 1024, "x"));
  await waitUntil(() => lines.some((line) => line.includes("takes nothing for")));
  const startedAt = performance.now();
  await log.close();
  expect(performance.now() - startedAt).toBeLessThan(2000);
});

test.each([
  { name: "nobody there", to: { host: "127.0.0.1", port: 1 } },
  { name: "a name that nobody knows", to: { host: "no.such.host.invalid", port: 1 } },
])("$name: told once, and the end does not wait", async ({ to }) => {
  const { log, lines } = createLog();
  log.start(to);
  log.line("lost");
  await sleep(200);
  const startedAt = performance.now();
  await log.close();
  expect(performance.now() - startedAt).toBeLessThan(1000);
  expect(lines).toHaveLength(1);
});

test("a job that names no reader keeps nothing", async () => {
  const { log } = createLog();
  log.line("first");
  log.discard();
  log.line("second");
  const startedAt = performance.now();
  await log.close();
  expect(performance.now() - startedAt).toBeLessThan(100);
});
