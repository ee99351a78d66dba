/** The network log on a real boot: a collector that disconnects gets every line; netconsole works; S3 has the parts. */
import { createSocket } from "node:dgram";
import { readFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NumberedLine } from "../../../agent/wire/numbered-line.ts";
import {
  assembleBoots,
  type BootLog,
  readNetworkLines,
} from "../../../scripts/repair-log/read-network-log.ts";
import { repairLog } from "../../../scripts/repair-log/repair-log.ts";
import { createFarmGuest, describeRun, type FarmGuest } from "./farm-guest.ts";

let guest: FarmGuest;
const cleanUps: (() => unknown)[] = [];

beforeAll(async () => {
  guest = await createFarmGuest();
});
afterAll(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
  await guest?.stop();
});

/** A syslog server on TCP that disconnects once during the test. */
async function startCollector() {
  const received: Buffer[] = [];
  let hasBroken = false;
  const server = createServer((socket: Socket) => {
    const at = received.push(Buffer.alloc(0)) - 1;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      received[at] = Buffer.concat([received[at]!, chunk]);
      if (hasBroken || !received[at].includes("case 1000 ")) return;
      hasBroken = true;
      socket.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => server.close());
  return { received, port: (server.address() as AddressInfo).port };
}

/** Returns 404 for the job file and appends what is posted. */
async function startLogServer() {
  const received: Buffer[] = [];
  const tokens: (string | undefined)[] = [];
  const server = createHttpServer((request, response) => {
    if (request.method !== "POST") return response.writeHead(404).end();
    tokens.push(request.headers.authorization);
    request.on("data", (chunk: Buffer) => received.push(chunk));
    request.on("end", () => response.writeHead(204).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => server.close());
  return { received, tokens, port: (server.address() as AddressInfo).port };
}

async function startNetconsoleReader() {
  const words: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (message) => words.push(message.toString()));
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  cleanUps.push(() => socket.close());
  return { words, port: socket.address().port };
}

/** Expects a log of one boot with all numbers from the first. */
function readOneBoot(lines: Iterable<NumberedLine>): BootLog {
  const boots = assembleBoots(lines);
  expect(boots).toHaveLength(1);
  expect(boots[0]!.missing).toBe(0);
  expect(boots[0]!.lines[0]!.number).toBe(1);
  return boots[0]!;
}

const CASES = 3000;
const TEST = [
  `for i in $(seq ${CASES}); do echo case $i of ${CASES}: pass; done`,
  "echo '<0>kernel words' > /dev/kmsg; sleep 2",
  "printf 'hwci: mesa: pass, exit_code: 0'",
].join("; ");

describe.concurrent("the log over the network", { timeout: 600_000 }, () => {
  it("by syslog has every line, also the kernel's, across an outage, and can repair a serial log", async () => {
    const [collector, netconsole] = await Promise.all([startCollector(), startNetconsoleReader()]);
    const run = await guest.boot(
      [
        `dut.image=${guest.facts.image} dut.hostname=navi "dut.run=${TEST}"`,
        `dut.log=syslog+tcp://10.0.2.2:${collector.port} dut.netconsole=10.0.2.2:${netconsole.port}`,
      ].join(" "),
    );
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "pass", exitCode: 0 });
    expect(collector.received).toHaveLength(2);
    expect(collector.received[1]!.toString()).toMatch(
      /^\d+ <\d+>1 \S+ navi (test|dutboot|kernel) [0-9a-f]{8} - \[meta /,
    );
    const log = readOneBoot(collector.received.flatMap((bytes) => [...readNetworkLines(bytes)]));
    const texts = log.lines.map(({ text }) => text.toString());
    expect(texts.filter((text) => text.startsWith("case "))).toEqual(
      Array.from({ length: CASES }, (_, at) => `case ${at + 1} of ${CASES}: pass`),
    );
    expect(texts).toContain("hwci: mesa: pass, exit_code: 0");
    expect(texts.filter((text) => /^\[ +\d+\.\d{6}\] kernel words$/.test(text))).toHaveLength(1);
    expect(texts.find((text) => text.includes(`boot ${log.boot}`))).toMatch(/dutboot: dutboot \d/);
    expect(texts.join("\n")).toMatch(/^dutboot: verdict: pass exit_code=0/m);
    expect(texts.join("\n")).toContain("cannot send to syslog+tcp:");
    // netconsole does not need the agent.
    expect(run.console).toContain("netconsole: the kernel's messages go to 10.0.2.2");
    expect(netconsole.words.join("")).toContain("kernel words");

    const cut = run.console
      .split("\n")
      .filter((line) => !/^case \d*[1-7]0 of/.test(line))
      .join("\n")
      .replace("case 2222 of 3000: pass", "case 2222 of 30");
    const repaired = repairLog(Buffer.from(cut, "latin1"), [log]);
    const cases = repaired.lines.map(String).filter((line) => line.startsWith("case "));
    expect(cases).toHaveLength(CASES);
    expect(new Set(cases).size).toBe(CASES);
  });

  it("by HTTP reports a job that cannot be read", async () => {
    const server = await startLogServer();
    const host = `10.0.2.2:${server.port}`;
    const run = await guest.boot(
      `dut.job=http://${host}/none.yaml dut.log=http://${host}/log dut.insecure=${host} dut.end`,
      { isAlone: true, fwCfg: { "org.dutboot/credentials/log-token": "token-of-the-log\n" } },
    );
    expect(run.verdict, describeRun(run)).toMatchObject({ error: { code: "HTTP_NOT_FOUND" } });
    expect(new Set(server.tokens)).toEqual(new Set(["Bearer token-of-the-log"]));
    const log = readOneBoot(readNetworkLines(Buffer.concat(server.received)));
    const text = log.lines.map((line) => line.text.toString()).join("\n");
    expect(text).toMatch(/^dutboot: verdict: error code=HTTP_NOT_FOUND/m);
    expect(text + run.console).not.toContain("token-of-the-log");
  });

  it("is stored in S3 in parts", async () => {
    const run = await guest.boot(
      `dut.image=${guest.facts.image} dut.log=s3://results/network-log "dut.run=echo hello from the test"`,
    );
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "pass" });
    const folder = `${guest.folder}/network-log`;
    const names = await guest.farm.s3.downloadObjects("results", "network-log", folder);
    expect(names[0]).toMatch(/log-[0-9a-f]{8}-00001\.txt$/);
    const parts = await Promise.all(names.map((name) => readFile(`${folder}/${name}`)));
    const log = readOneBoot(parts.flatMap((bytes) => [...readNetworkLines(bytes)]));
    const texts = log.lines.map(({ text }) => text.toString());
    expect(texts).toContain("hello from the test");
    expect(texts.join("\n")).toMatch(/^dutboot: verdict: pass exit_code=0/m);
  });
});
