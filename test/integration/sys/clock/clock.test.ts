/**
 * The clock against time servers that give valid answers, invalid ones, late ones or none, on loopback.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  type ClockState,
  chooseTimeServers,
  setClockFloor,
  syncClock,
} from "../../../../agent/sys/clock/clock.ts";

const BUILD = Date.parse("2026-06-01T00:00:00Z");
const EPOCH_OFFSET_SECONDS = 2_208_988_800;

type Behaviour = (request: Buffer, answer: Buffer, count: number) => Buffer | undefined;

let server: Socket;
let behave: Behaviour;
let requests: number;
let logs: string[];
let wasSetTo: number | undefined;

beforeEach(async () => {
  server = createSocket("udp4");
  requests = 0;
  logs = [];
  wasSetTo = undefined;
  server.on("message", (request, from) => {
    requests++;
    const sent = behave(request, buildAnswer(request, Date.now()), requests);
    if (sent) server.send(sent, from.port, from.address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(() => {
  server.close();
});

function buildAnswer(request: Buffer, epochMs: number): Buffer {
  const answer = Buffer.alloc(48);
  answer[0] = (4 << 3) | 4;
  answer[1] = 1;
  request.copy(answer, 24, 40, 48);
  for (const at of [32, 40]) {
    answer.writeUInt32BE(Math.floor(epochMs / 1000) + EPOCH_OFFSET_SECONDS, at);
    answer.writeUInt32BE(Math.floor(((epochMs % 1000) / 1000) * 2 ** 32), at + 4);
  }
  return answer;
}

function sync(servers = ["127.0.0.1"], tries = 1): Promise<ClockState> {
  const text = (line: string) => logs.push(line);
  return syncClock(servers, {
    buildTimeMs: BUILD,
    log: { debug: text, info: text, warn: text },
    setNow: (epochMs) => {
      wasSetTo = epochMs;
    },
    port: server.address().port,
    waitMs: 500,
    retryMs: 50,
    tries,
  });
}

it("sets the clock from a valid answer", async () => {
  behave = (request) => buildAnswer(request, Date.now() + 3_600_000);
  const state = await sync();
  expect(state).toMatchObject({ source: "ntp", server: "127.0.0.1" });
  expect(state.offsetMs! - 3_600_000).toBeLessThan(1000);
  expect(wasSetTo! - Date.now() - 3_600_000).toBeLessThan(1000);
});

it("sends again after a lost packet", async () => {
  behave = (_request, answer, count) => (count < 3 ? undefined : answer);
  expect((await sync()).source).toBe("ntp");
  expect(requests).toBe(3);
});

it("accepts the true answer after a forged one", async () => {
  behave = (_request, answer, count) => {
    if (count === 1) answer[24] = answer[24]! ^ 1;
    return answer;
  };
  expect((await sync()).source).toBe("ntp");
});

it("is not delayed by one dead server among several", async () => {
  behave = (_request, answer) => answer;
  expect(await sync(["127.0.0.2", "127.0.0.1"])).toMatchObject({ source: "ntp", server: "127.0.0.1" });
});

it.each<[string, Behaviour]>([
  ["no answer", () => undefined],
  ["a kiss of death", (_request, answer) => answer.fill(0, 1, 2)],
  ["garbage", () => Buffer.alloc(48, 0xff)],
  ["a time before the build", (request) => buildAnswer(request, BUILD - 86_400_000)],
])("logs %s and continues", async (_name, behaviour) => {
  behave = behaviour;
  expect((await sync()).source).toBe("own");
  expect(wasSetTo).toBeUndefined();
  expect(logs.join()).toContain("127.0.0.1");
});

it("continues without a server on the port", async () => {
  behave = () => undefined;
  expect((await sync(["127.0.0.9"])).source).toBe("own");
});

it("logs that there is no time server", async () => {
  expect((await sync([])).source).toBe("own");
  expect(logs.join()).toContain("no time server to ask");
});

it.each([
  ["1970", 0, BUILD],
  ["a second before the build", BUILD - 1000, BUILD],
  ["the build", BUILD, undefined],
  ["after the build", BUILD + 1000, undefined],
])("applies the build time as the floor to a clock at %s", (_name, nowMs, expected) => {
  const text = (line: string) => logs.push(line);
  const wasRaised = setClockFloor(BUILD, {
    log: { debug: text, info: text, warn: text },
    readNow: () => nowMs,
    setNow: (epochMs) => {
      wasSetTo = epochMs;
    },
  });
  expect(wasSetTo).toBe(expected);
  expect(wasRaised).toBe(expected !== undefined);
});

it("asks the job's peer three times and then continues", async () => {
  const { servers, tries } = chooseTimeServers({ host: "127.0.0.1" }, ["192.0.2.1"]);
  behave = () => undefined;
  const startedAt = performance.now();
  expect((await sync([...servers], tries)).source).toBe("own");
  expect(performance.now() - startedAt).toBeLessThan(2500);
  expect(requests).toBeGreaterThan(15);
});

it("retries a name that does not resolve as long as a silent server", async () => {
  const startedAt = performance.now();
  expect((await sync(["no.such.host.invalid"], 2)).source).toBe("own");
  expect(performance.now() - startedAt).toBeGreaterThan(490);
});

it.each([
  { setting: undefined, servers: ["10.0.0.1"], tries: 1 },
  { setting: "none" as const, servers: [], tries: 1 },
  { setting: "auto" as const, servers: ["pool.ntp.org"], tries: 3 },
  { setting: { host: "ci-gateway" }, servers: ["ci-gateway"], tries: 3 },
])("chooses the servers for ntp_peer=$setting", ({ setting, servers, tries }) => {
  expect(chooseTimeServers(setting, ["10.0.0.1"])).toEqual({ servers, tries });
});
