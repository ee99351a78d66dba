/** The raw log by TCP against readers that come late, go away, accept nothing, or do not exist. */
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { NetworkLog, type NetworkLogOptions } from "../../../../agent/report/network-log/network-log.ts";
import { createRawLog } from "../../../../agent/report/network-log/tcp-log.ts";

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** `texts`: the bytes of each connection. */
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

function createLog(options: Partial<NetworkLogOptions> = {}) {
  const messages: string[] = [];
  const addMessage = (line: string) => void messages.push(line);
  const log = new NetworkLog({
    log: { info: addMessage, warn: addMessage },
    boot: "1a2b3c4d",
    readUptimeMs: () => 0,
    clean: (line) => line,
    retryMs: 20,
    flushMs: 300,
    ...options,
  });
  return { log, messages };
}

const to = (port: number, options = {}) => createRawLog({ host: "127.0.0.1", port }, options);
const hasMessage = (messages: readonly string[], text: string) =>
  expect.poll(() => messages.join("\n"), { timeout: 5000 }).toContain(text);

it("sends everything from the first line on", async () => {
  const reader = await startReader();
  const { log } = createLog();
  log.line("first");
  log.output(Buffer.from("half a line"));
  log.start(to(reader.port));
  log.line("last");
  await log.close();
  expect(reader.texts).toEqual(["first\nhalf a line\nlast\n"]);
});

it("sends an open line at once", async () => {
  const reader = await startReader();
  const { log } = createLog();
  log.start(to(reader.port));
  log.output(Buffer.from("login: "));
  await expect.poll(() => reader.texts[0]).toBe("login: ");
  log.output(Buffer.from("ro"));
  await expect.poll(() => reader.texts[0]).toBe("login: ro");
  log.output(Buffer.from("ot\r\n# "));
  await log.close();
  expect(reader.texts).toEqual(["login: root\r\n# \n"]);
});

it("waits for a reader that comes late", async () => {
  const first = await startReader();
  first.stop();
  const { log, messages } = createLog();
  log.start(to(first.port));
  log.line("early");
  await hasMessage(messages, "cannot send to tcp://");
  const second = await startReader(first.port);
  await expect.poll(() => second.texts[0]).toBe("early\n");
  await log.close();
  expect(messages.filter((line) => line.includes("cannot send to"))).toHaveLength(1);
});

it("reconnects when a connection breaks, and repeats nothing", async () => {
  const reader = await startReader();
  const { log, messages } = createLog();
  log.start(to(reader.port));
  log.line("one");
  await expect.poll(() => reader.texts[0]).toBe("one\n");
  for (const socket of reader.sockets) socket.resetAndDestroy();
  await hasMessage(messages, "cannot send to tcp://");
  log.line("two");
  await expect.poll(() => reader.texts[1]).toBe("two\n");
  await log.close();
});

it("keeps the newest lines in bounded memory and reports how many are lost", async () => {
  const reader = await startReader();
  const { log, messages } = createLog({ queueBytes: 10 * 260, lostIntervalMs: 0 });
  for (let count = 0; count < 100; count++) log.output(Buffer.from(`${String(count).padEnd(99)}.\n`));
  log.start(to(reader.port));
  await log.close();
  expect(reader.texts[0]).toMatch(/^90 +\.\n(?:.*\n){8}99 +\.\n$/);
  expect(messages).toContainEqual(
    expect.stringMatching(
      /^log: 90 lines \(1 to 90\) are missing at tcp:\/\/127.0.0.1:\d+: the queue was full/,
    ),
  );
});

it("leaves a reader that accepts nothing, and does not delay the end", async () => {
  const reader = await startReader(0, (socket) => socket.pause());
  const { log, messages } = createLog({ queueBytes: 64 * 1024 * 1024 });
  log.start(to(reader.port, { stallMs: 100 }));
  for (let count = 0; count < 32; count++) log.output(Buffer.alloc(1024 * 1024, "x"));
  await hasMessage(messages, "it accepted no data for 0.1 s");
  const startedAt = performance.now();
  await log.close();
  expect(performance.now() - startedAt).toBeLessThan(2000);
});

it.each(["127.0.0.1", "no.such.host.invalid"])(
  "warns once when nothing answers at %s, and does not delay the end",
  async (host) => {
    const { log, messages } = createLog();
    log.start(createRawLog({ host, port: 1 }));
    log.line("lost");
    await hasMessage(messages, "cannot send to tcp://");
    const startedAt = performance.now();
    await log.close();
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(messages).toHaveLength(1);
  },
);
