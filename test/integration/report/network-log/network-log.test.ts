/** The network log against collectors and servers that are late, go away, reset connections, refuse, hang, or do not exist. */
import { createSocket } from "node:dgram";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { createHttpClient } from "../../../../agent/net/http/http-client.ts";
import { createLogUpload } from "../../../../agent/net/uploads/log-upload.ts";
import { createBatchedLog } from "../../../../agent/report/network-log/batched-log.ts";
import type { LogLine } from "../../../../agent/report/network-log/line-queue.ts";
import {
  type LogTransport,
  NetworkLog,
  type NetworkLogOptions,
} from "../../../../agent/report/network-log/network-log.ts";
import { createSyslogUdp } from "../../../../agent/report/network-log/syslog-udp.ts";
import { createRawLog, createSyslogTcp } from "../../../../agent/report/network-log/tcp-log.ts";
import { type NumberedLine, parseNumberedLine } from "../../../../agent/wire/numbered-line.ts";
import { createSyslogFormat, parseSyslogMessage } from "../../../../agent/wire/syslog.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

const formatMessage = createSyslogFormat({ hostname: "dut" });
const format = (line: LogLine) => formatMessage(line, { origin: line.origin, timeMs: Date.now() });

function createLog(options: Partial<NetworkLogOptions> = {}) {
  const messages: string[] = [];
  const addMessage = (line: string) => void messages.push(line);
  const log = new NetworkLog({
    log: { info: addMessage, warn: addMessage },
    boot: "1a2b3c4d",
    readUptimeMs: () => performance.now(),
    clean: (line) => line.replace("hunter2", "[hidden]"),
    retryMs: 20,
    flushMs: 2000,
    openLineMs: 20,
    lostIntervalMs: 0,
    ...options,
  });
  const addLines = (from: number, to: number) => {
    for (let number = from; number <= to; number++) log.line(`line ${number}`);
  };
  return { log, messages, addLines };
}

const waitUntil = (isTrue: () => boolean) => expect.poll(isTrue, { timeout: 5000, interval: 10 }).toBe(true);
const isDown = (messages: readonly string[]) => messages.some((line) => line.includes("cannot send to"));

/** By number, as a reader that drops what it has; pieces of lines are not joined. */
function collect(lines: Iterable<NumberedLine | undefined>): Map<number, string> {
  const found = new Map<number, string>();
  for (const line of lines) if (line) found.set(line.number, line.text.toString());
  return found;
}
const expectLines = (found: Map<number, string>, from: number, to: number) => {
  const expected = Array.from({ length: to - from + 1 }, (_, at) => `line ${from + at}`);
  const numbers = [...found.keys()].sort((a, b) => a - b);
  expect(numbers.slice(0, 3)).toEqual([from, from + 1, from + 2].slice(0, expected.length));
  expect(numbers.map((number) => found.get(number))).toEqual(expected);
};

interface Collector {
  /** What came by each connection. */
  received: Buffer[];
  sockets: Set<Socket>;
  port: number;
  stop(): void;
}

async function startCollector(port = 0, onSocket: (socket: Socket) => void = () => {}): Promise<Collector> {
  const received: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const at = received.push(Buffer.alloc(0)) - 1;
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
    socket.on("data", (chunk) => {
      received[at] = Buffer.concat([received[at]!, chunk]);
    });
  });
  const stop = () => {
    for (const socket of sockets) socket.resetAndDestroy();
    server.close();
  };
  cleanUps.push(stop);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { received, sockets, stop, port: (server.address() as AddressInfo).port };
}

/** Whole frames of one connection; the last one may be cut. */
function* readFrames(bytes: Buffer): Generator<NumberedLine | undefined> {
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString("latin1", at, space));
    expect(length).toBeGreaterThan(0);
    const end = space + 1 + length;
    if (space === -1 || end > bytes.length) return;
    const line = parseSyslogMessage(bytes.subarray(space + 1, end));
    expect(line).toBeDefined();
    yield line;
    at = end;
  }
}
const collectFrames = ({ received }: Collector) =>
  collect(received.flatMap((bytes) => [...readFrames(bytes)]));

describe("syslog by TCP", () => {
  const open = (port: number, options = {}) => createSyslogTcp({ host: "127.0.0.1", port, format }, options);

  it("sends every line from the first on, also those from before the reader was known", async () => {
    const reader = await startCollector();
    const { log, addLines, messages } = createLog();
    addLines(1, 100);
    log.start(open(reader.port));
    addLines(101, 1000);
    log.output(Buffer.from("line 1001\nline 1002"));
    await log.close();
    expectLines(collectFrames(reader), 1, 1002);
    expect(messages).toEqual([`log: sent to syslog+tcp://127.0.0.1:${reader.port}`]);
  });

  it("sends again what a broken connection may have lost", async () => {
    let broken = 0;
    const reader = await startCollector(0, (socket) => {
      if (broken >= 5) return;
      socket.once("data", () => {
        broken++;
        // Unread bytes in it make it a reset.
        socket.pause();
        setTimeout(() => socket.resetAndDestroy(), 30);
      });
    });
    const { log, addLines, messages } = createLog();
    log.start(open(reader.port));
    for (let at = 0; at < 40; at++) {
      addLines(at * 100 + 1, at * 100 + 100);
      await sleep(10);
    }
    await log.close();
    expect(broken).toBe(5);
    expectLines(collectFrames(reader), 1, 4000);
    expect(messages.filter((line) => line.includes("cannot send to"))).toHaveLength(5);
  });

  it("waits for a reader that comes late, and warns once", async () => {
    const first = await startCollector();
    first.stop();
    const { log, addLines, messages } = createLog();
    log.start(open(first.port));
    addLines(1, 5);
    await waitUntil(() => isDown(messages));
    const second = await startCollector(first.port);
    await waitUntil(() => collectFrames(second).size === 5);
    await log.close();
    expect(messages).toEqual([
      expect.stringMatching(/retrying: connect ECONNREFUSED/),
      expect.stringMatching(/^log: sent to syslog\+tcp:/),
    ]);
  });

  it("keeps the newest lines during an outage, and logs which ones are lost", async () => {
    const { log, addLines, messages } = createLog({ queueBytes: 100 * 170 });
    const reader = await startCollector();
    reader.stop();
    log.start(open(reader.port));
    addLines(1, 500);
    await waitUntil(() => isDown(messages));
    const late = await startCollector(reader.port);
    await waitUntil(() => collectFrames(late).size > 0);
    await log.close();
    const first = Math.min(...collectFrames(late).keys());
    expectLines(collectFrames(late), first, 500);
    expect(first).toBeGreaterThan(390);
    expect(messages.join("\n")).toContain(
      `log: ${first - 1} lines (1 to ${first - 1}) are missing at syslog+tcp:`,
    );
  });

  it("leaves a reader that hangs, and does not delay the end", async () => {
    const reader = await startCollector(0, (socket) => socket.pause());
    const { log, messages } = createLog({ queueBytes: 64 * 1024 * 1024, flushMs: 200 });
    log.start(open(reader.port, { stallMs: 200 }));
    const line = Buffer.from(`${"x".repeat(1000)}\n`);
    for (let count = 0; count < 32_000; count++) log.output(line);
    await waitUntil(() => messages.some((text) => text.includes("accepted no data for")));
    const startedAt = performance.now();
    await log.close();
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  it.each(["127.0.0.1", "no.such.host.invalid"])(
    "warns once when nothing answers at %s, and does not delay the end",
    async (host) => {
      const { log, addLines, messages } = createLog({ flushMs: 200 });
      log.start(createSyslogTcp({ host, port: 1, format }));
      addLines(1, 3);
      await waitUntil(() => isDown(messages));
      const startedAt = performance.now();
      await log.close();
      expect(performance.now() - startedAt).toBeLessThan(1000);
      expect(messages).toHaveLength(1);
    },
  );
});

describe("syslog by UDP", () => {
  async function startUdp(port = 0) {
    const messages: Buffer[] = [];
    const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
    socket.on("message", (message) => messages.push(message));
    await new Promise<void>((resolve) => socket.bind(port, "127.0.0.1", resolve));
    let isClosed = false;
    const stop = () => {
      if (!isClosed) socket.close();
      isClosed = true;
    };
    cleanUps.push(stop);
    return { messages, stop, port: socket.address().port };
  }
  const open = (port: number) => createSyslogUdp({ host: "127.0.0.1", port, format });

  it("sends one line per datagram, long ones in parts", async () => {
    const reader = await startUdp();
    const { log, addLines } = createLog();
    addLines(1, 10);
    log.start(open(reader.port));
    log.output(Buffer.from(`${"y".repeat(10_000)}\n`));
    await log.close();
    await waitUntil(() => reader.messages.length === 13);
    expectLines(new Map([...collect(reader.messages.map(parseSyslogMessage))].slice(0, 10)), 1, 10);
    expect(reader.messages.every(({ length }) => length < 4400)).toBe(true);
    expect(reader.messages[0]!.toString()).toMatch(
      /^<134>1 20\S+Z dut dutboot 1a2b3c4d - \[meta sequenceId="1" /,
    );
  });

  it("warns once about an absent collector, and continues when it starts", async () => {
    const first = await startUdp();
    first.stop();
    const { log, addLines, messages } = createLog();
    log.start(open(first.port));
    addLines(1, 50);
    await waitUntil(() => isDown(messages));
    const second = await startUdp(first.port);
    await waitUntil(() => second.messages.length > 0);
    await log.close();
    expectLines(collect(second.messages.map(parseSyslogMessage)), 1, 50);
    expect(messages.filter((line) => line.includes("cannot send to"))).toHaveLength(1);
  });
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Appends what comes, as it comes; `answers` by the request's number, then all is well. */
async function startLogServer(answers: Answer[] = [], port = 0) {
  const bodies: string[] = [];
  const requests: IncomingMessage[] = [];
  const server = createHttpServer((request, response) => {
    const at = bodies.push("") - 1;
    requests.push(request);
    request.on("error", () => {});
    request.on("data", (chunk: Buffer) => {
      bodies[at] += chunk.toString("latin1");
    });
    if (answers[at]) answers[at](request, response);
    else request.on("end", () => response.writeHead(204).end());
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  const stop = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  cleanUps.push(stop);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { bodies, requests, stop, host };
}
const collectBodies = (bodies: readonly string[]) =>
  collect(
    // A line that is cut has no line end.
    bodies.flatMap((body) =>
      body
        .split("\n")
        .slice(0, -1)
        .map((line) => parseNumberedLine(Buffer.from(line))),
    ),
  );

describe("HTTP", () => {
  function open(
    url: string,
    options: { token?: string; partMs?: number; partBytes?: number } = {},
  ): LogTransport {
    const http = createHttpClient({
      insecureHosts: ["127.0.0.1"],
      log: { warn: () => {} },
      retry: { budgetMs: 0, firstContactBudgetMs: 0, silenceMs: 500 },
    });
    cleanUps.push(() => http.close());
    const { token, ...limits } = options;
    const putPart = createLogUpload(http, { url, token });
    return createBatchedLog({ location: url, putPart, partMs: 200, ...limits });
  }

  it("delivers lines before the request ends", async () => {
    const server = await startLogServer();
    const { log, addLines } = createLog();
    addLines(1, 3);
    log.start(open(`http://${server.host}/logs?job=42`, { partMs: 60_000, token: "secret-token" }));
    await waitUntil(() => collectBodies(server.bodies).size === 3);
    addLines(4, 5);
    await waitUntil(() => collectBodies(server.bodies).size === 5);
    await log.close();
    expect(server.requests).toHaveLength(1);
    const [{ method, url, headers }] = server.requests as [IncomingMessage];
    expect(`${method} ${url}`).toBe("POST /logs?job=42");
    expect(headers).toMatchObject({
      "transfer-encoding": "chunked",
      "content-type": "text/plain; charset=utf-8",
      "dutboot-boot": "1a2b3c4d",
      "dutboot-first-line": "1",
      authorization: "Bearer secret-token",
    });
  });

  it("ends a request by time and by size, and continues with the next", async () => {
    const server = await startLogServer();
    const { log, addLines } = createLog();
    log.start(open(`http://${server.host}/`.slice(0, -1).concat("/log"), { partMs: 50, partBytes: 2000 }));
    for (let at = 0; at < 20; at++) {
      addLines(at * 10 + 1, at * 10 + 10);
      await sleep(10);
    }
    await log.close();
    expect(server.requests.length).toBeGreaterThan(2);
    expectLines(collectBodies(server.bodies), 1, 200);
    const firsts = server.requests.map(({ headers }) => Number(headers["dutboot-first-line"]));
    expect(firsts).toEqual(server.bodies.map((body) => Number(body.split(" ")[1])));
    // Nothing came twice.
    expect(server.bodies.join("").match(/\n/g)).toHaveLength(200);
  });

  it("puts each part as a file below a URL that ends in a slash", async () => {
    const server = await startLogServer();
    const { log, addLines } = createLog();
    log.start(open(`http://${server.host}/logs/42/?x=1`, { partBytes: 50 }));
    addLines(1, 3);
    await waitUntil(() => collectBodies(server.bodies).size === 3);
    addLines(4, 6);
    await log.close();
    expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "PUT /logs/42/log-1a2b3c4d-00001.txt?x=1",
      "PUT /logs/42/log-1a2b3c4d-00002.txt?x=1",
    ]);
  });

  it.each<[string, Answer]>([
    ["answers 500 at once", (_request, response) => response.writeHead(500).end("no")],
    ["answers 200 before it has all", (_request, response) => response.writeHead(200).end("ok")],
    ["answers 401", (_request, response) => response.writeHead(401).end()],
    ["cuts the connection", (request) => setTimeout(() => request.socket.resetAndDestroy(), 100)],
    ["answers 503 at the end", (request, response) => request.on("end", () => response.writeHead(503).end())],
    ["never answers", () => {}],
    ["redirects", (_request, response) => response.writeHead(302, { location: "http://10.9.9.9/" }).end()],
  ])("sends everything again, with one warning, to a server that %s", async (_name, answer) => {
    const server = await startLogServer([answer, answer]);
    const { log, addLines, messages } = createLog({ flushMs: 5000 });
    log.start(open(`http://${server.host}/log`));
    addLines(1, 20);
    await waitUntil(() => server.requests.length >= 2);
    addLines(21, 40);
    await waitUntil(() => collectBodies(server.bodies.slice(2)).size >= 40);
    await log.close();
    expectLines(collectBodies(server.bodies.slice(2)), 1, 40);
    expect(messages.filter((line) => line.includes("cannot send to"))).toHaveLength(1);
    expect(messages.at(-1)).toMatch(/^log: sent to http/);
  });

  it("continues after a server was away", async () => {
    const server = await startLogServer();
    const { log, addLines, messages } = createLog();
    log.start(open(`http://${server.host}/log`, { partMs: 50 }));
    addLines(1, 10);
    await waitUntil(() => messages.length === 1);
    server.stop();
    addLines(11, 20);
    await waitUntil(() => isDown(messages));
    const again = await startLogServer([], Number(server.host.split(":")[1]));
    await waitUntil(() => collectBodies(again.bodies).size === 10);
    await log.close();
    expectLines(collectBodies([...server.bodies, ...again.bodies]), 1, 20);
    expect(messages.map((line) => line.replace(/ http.*/, ""))).toEqual([
      "log: sent to",
      expect.stringMatching(/^log: cannot send to/),
      "log: sent to",
    ]);
  });

  it("does not use plain HTTP for other hosts", async () => {
    const http = createHttpClient({ insecureHosts: [], log: { warn: () => {} } });
    cleanUps.push(() => http.close());
    const { log, addLines, messages } = createLog({ flushMs: 200 });
    const url = "http://127.0.0.1:1/log";
    log.start(createBatchedLog({ location: url, putPart: createLogUpload(http, { url }) }));
    addLines(1, 2);
    await log.close();
    expect(messages).toEqual([expect.stringMatching(/plain HTTP is not allowed for/)]);
  });
});

describe("any reader", () => {
  it("keeps nothing for a job without a reader", async () => {
    const { log, addLines } = createLog();
    addLines(1, 2);
    log.discard();
    addLines(3, 4);
    const startedAt = performance.now();
    await log.close();
    expect(performance.now() - startedAt).toBeLessThan(100);
  });

  it.each(["raw", "numbered"])("redacts lines from before a secret was known: %s", async (form) => {
    const reader = await startCollector();
    const { log } = createLog();
    log.line("Command line: password=hunter2");
    const { port } = reader;
    log.start(
      form === "raw"
        ? createRawLog({ host: "127.0.0.1", port })
        : createSyslogTcp({ host: "127.0.0.1", port, format }),
    );
    await log.close();
    expect(reader.received.join("")).toContain("password=[hidden]");
    expect(reader.received.join("")).not.toContain("hunter2");
  });
});
