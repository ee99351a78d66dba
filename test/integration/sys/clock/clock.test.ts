/**
 * The clock against time servers that answer rightly, wrongly, late or never, on loopback.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
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

test("a sound answer sets the clock", async () => {
  behave = (request) => buildAnswer(request, Date.now() + 3_600_000);
  const state = await sync();
  expect(state).toMatchObject({ source: "ntp", server: "127.0.0.1" });
  expect(state.offsetMs! - 3_600_000).toBeLessThan(1000);
  expect(wasSetTo! - Date.now() - 3_600_000).toBeLessThan(1000);
});

test("a lost packet is asked for again", async () => {
  behave = (_request, answer, count) => (count < 3 ? undefined : answer);
  expect((await sync()).source).toBe("ntp");
  expect(requests).toBe(3);
});

test("a forged answer does not stand in the way of the true one", async () => {
  behave = (_request, answer, count) => {
    if (count === 1) answer[24] = answer[24]! ^ 1;
    return answer;
  };
  expect((await sync()).source).toBe("ntp");
});

test("one dead server among several costs nothing", async () => {
  behave = (_request, answer) => answer;
  expect(await sync(["127.0.0.2", "127.0.0.1"])).toMatchObject({ source: "ntp", server: "127.0.0.1" });
});

test.each<[string, Behaviour]>([
  ["silence", () => undefined],
  ["a kiss of death", (_request, answer) => answer.fill(0, 1, 2)],
  ["garbage", () => Buffer.alloc(48, 0xff)],
  ["a time before the build", (request) => buildAnswer(request, BUILD - 86_400_000)],
])("never fatal, and told: %s", async (_name, behaviour) => {
  behave = behaviour;
  expect((await sync()).source).toBe("own");
  expect(wasSetTo).toBeUndefined();
  expect(logs.join()).toContain("127.0.0.1");
});

test("no server on the port", async () => {
  behave = () => undefined;
  expect((await sync(["127.0.0.9"])).source).toBe("own");
});

test("no time server at all", async () => {
  expect((await sync([])).source).toBe("own");
  expect(logs.join()).toContain("no time server to ask");
});

test.each([
  ["1970", 0, BUILD],
  ["a second before the build", BUILD - 1000, BUILD],
  ["the build", BUILD, undefined],
  ["after the build", BUILD + 1000, undefined],
])("the floor under a clock at %s", (_name, nowMs, expected) => {
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

test("the job's peer is asked three times, and a silent one keeps nobody for longer", async () => {
  const { servers, tries } = chooseTimeServers({ host: "127.0.0.1" }, ["192.0.2.1"]);
  behave = () => undefined;
  const startedAt = performance.now();
  expect((await sync([...servers], tries)).source).toBe("own");
  expect(performance.now() - startedAt).toBeLessThan(2500);
  expect(requests).toBeGreaterThan(15);
});

test("a name that nobody knows is tried as long as a silent server", async () => {
  const startedAt = performance.now();
  expect((await sync(["no.such.host.invalid"], 2)).source).toBe("own");
  expect(performance.now() - startedAt).toBeGreaterThan(490);
});

test.each([
  { wish: undefined, servers: ["10.0.0.1"], tries: 1 },
  { wish: "none" as const, servers: [], tries: 1 },
  { wish: "auto" as const, servers: ["pool.ntp.org"], tries: 3 },
  { wish: { host: "ci-gateway" }, servers: ["ci-gateway"], tries: 3 },
])("whom to ask for ntp_peer=$wish", ({ wish, servers, tries }) => {
  expect(chooseTimeServers(wish, ["10.0.0.1"])).toEqual({ servers, tries });
});
