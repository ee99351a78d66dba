/**
 * Network set-up against a real DHCP server and real time server, over a cable between two namespaces.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { InterfaceSettings } from "../../../../agent/job/machine-settings.ts";
import type { NtpResult } from "../../../../agent/sys/clock/ntp.ts";
import type { NetworkState } from "../../../../agent/sys/network/network.ts";
import type { StaticNetworkOptions } from "../../../../agent/sys/network/static-interfaces.ts";
import type { DhcpAnswer } from "../../../servers/dhcp-server.ts";
import { createNamespacePair, type NamespacePair } from "../../../servers/network-namespace.ts";

interface Answer {
  log?: string;
  state?: Omit<NetworkState, "stop">;
  time?: NtpResult;
  error?: string;
}

let pair: NamespacePair;
let directory: string;
let agents: ChildProcess[];

beforeEach(async () => {
  pair = await createNamespacePair();
  directory = mkdtempSync(join(tmpdir(), "dutboot-network-"));
  agents = [];
  pair.addCable("farm0", "dut0");
  pair.farm.ip("addr add 10.9.0.1/24 dev farm0");
  pair.farm.ip("link set lo up");
});

afterEach(async () => {
  for (const agent of agents) {
    agent.stdin!.end();
    if (agent.exitCode === null) await once(agent, "exit");
  }
  await pair.close();
  rmSync(directory, { recursive: true });
});

type Wishes = Partial<Omit<StaticNetworkOptions, "log">> & {
  ip?: string;
  askTime?: boolean;
  interfaces?: InterfaceSettings[];
};

/** Starts the agent's part; `next` waits for its next state, time or error, `logs` holds what it logged so far. */
function startAgent(wishes: Wishes = {}) {
  const options = {
    stateDir: directory,
    resolvConfPath: join(directory, "resolv.conf"),
    busybox: pair.busybox,
    waitMs: 20_000,
    ...wishes,
  };
  const child = join(import.meta.dirname, "network-child.ts");
  const words = [
    ...pair.dut.enter,
    "unshare",
    "--mount",
    "--uts",
    "sh",
    "-c",
    'mount -t sysfs sysfs /sys && exec "$@"',
    "sh",
  ];
  const [command, ...rest] = [...words, process.execPath, child, JSON.stringify(options)];
  const agent = spawn(command!, rest, { stdio: ["pipe", "pipe", "inherit"] });
  agents.push(agent);
  const lines = createInterface({ input: agent.stdout! })[Symbol.asyncIterator]();
  const logs: string[] = [];
  const next = async (): Promise<Answer> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`The agent ended after: ${logs.join("\n")}`);
      const answer = JSON.parse(value) as Answer;
      if (answer.log === undefined) return answer;
      logs.push(answer.log);
    }
  };
  return { next, logs };
}

function startDhcpServer(options: string[] = []): ChildProcess {
  return pair.farm.startTool("dnsmasq", [
    ...[
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--port=0",
      "--interface=farm0",
      "--bind-interfaces",
    ],
    ...[
      "--dhcp-range=10.9.0.50,10.9.0.99,255.255.255.0,120",
      "--dhcp-authoritative",
      "--no-ping",
      "--user=root",
    ],
    ...[
      `--dhcp-leasefile=${directory}/leases`,
      `--pid-file=${directory}/dnsmasq.pid`,
      "--log-facility=/dev/null",
    ],
    ...["--dhcp-option=6,10.9.0.1", "--dhcp-option=42,10.9.0.1", "--dhcp-option=15,farm.example", ...options],
  ]);
}

function readRoutes(): string {
  const [command, ...rest] = [...pair.dut.enter, pair.busybox, "ip", "route"];
  return execFileSync(command!, rest, { encoding: "utf8" });
}

describe("DHCP", () => {
  test("configures address, route, name servers and time servers", async () => {
    pair.farm.ip("link set farm0 up");
    startDhcpServer();
    const { state, error } = await startAgent().next();
    expect(error).toBeUndefined();
    expect(state).toMatchObject({
      interfaces: [{ name: "dut0", prefixLength: 24, method: "dhcp", serverId: "10.9.0.1" }],
      nameservers: ["10.9.0.1"],
      ntpServers: ["10.9.0.1"],
      searchDomains: ["farm.example"],
    });
    expect(readFileSync(join(directory, "resolv.conf"), "utf8")).toBe(
      "search farm.example\nnameserver 10.9.0.1\n",
    );
    expect(readRoutes()).toContain("default via 10.9.0.1 dev dut0");
  });

  test("prefers classless routes to the router, and accepts a gateway outside of the network", async () => {
    pair.farm.ip("link set farm0 up");
    startDhcpServer(["--dhcp-option=121,10.77.0.0/16,10.9.0.7,0.0.0.0/0,192.168.5.1"]);
    expect((await startAgent().next()).state?.interfaces).toHaveLength(1);
    expect(readRoutes()).toContain("10.77.0.0/16 via 10.9.0.7");
    expect(readRoutes()).toContain("default via 192.168.5.1");
  });

  const router: DhcpAnswer["options"][number] = [3, "0a090001"];
  test.each<[string, DhcpAnswer, { prefixLength: number; nameservers?: string[]; route?: string }]>([
    [
      "no mask in class A",
      { address: "10.9.0.50", options: [router] },
      { prefixLength: 8, route: "via 10.9.0.1" },
    ],
    ["no mask in class B", { address: "172.16.0.50", options: [] }, { prefixLength: 16 }],
    ["no mask in class C", { address: "192.168.5.50", options: [] }, { prefixLength: 24 }],
    ["an empty mask", { address: "10.9.0.50", options: [[1, "00000000"], router] }, { prefixLength: 8 }],
    [
      "addresses of zeros",
      {
        address: "10.9.0.50",
        options: [
          [1, "ffffff00"],
          [3, "000000000a090001"],
          [6, "000000000a090001"],
        ],
      },
      { prefixLength: 24, nameservers: ["10.9.0.1"], route: "via 10.9.0.1" },
    ],
    [
      "an infinite lease",
      {
        address: "10.9.0.50",
        options: [
          [1, "ffffff00"],
          [51, "ffffffff"],
        ],
      },
      { prefixLength: 24 },
    ],
  ])("an answer with %s", async (_name, answer, { prefixLength, nameservers = [], route }) => {
    pair.farm.ip("link set farm0 up");
    const script = join(import.meta.dirname, "../../../servers/dhcp-server.ts");
    const [command, ...words] = [...pair.farm.enter, process.execPath, script, JSON.stringify(answer)];
    const server = spawn(command!, words, { stdio: ["ignore", "pipe", "inherit"] });
    await once(server.stdout!, "data");
    const { state } = await startAgent().next();
    server.kill();
    expect(state).toMatchObject({
      interfaces: [{ name: "dut0", address: answer.address, prefixLength }],
      nameservers,
    });
    const [ip, ...rest] = [...pair.dut.enter, pair.busybox, "ip", "addr", "show", "dev", "dut0"];
    expect(execFileSync(ip!, rest, { encoding: "utf8" })).toContain(`${answer.address}/${prefixLength} `);
    if (route) expect(readRoutes()).toContain(`default ${route} dev dut0`);
    else expect(readRoutes()).not.toContain("default via 0.0.0.0");
  });

  test("waits for a link that comes up late", async () => {
    startDhcpServer();
    const agent = startAgent();
    const answer = agent.next();
    await vi.waitFor(() => expect(agent.logs.join()).toContain("waiting for a link"), 15_000);
    pair.farm.ip("link set farm0 up");
    expect((await answer).state?.interfaces).toMatchObject([{ name: "dut0" }]);
  });

  test("waits for an adapter that appears late", async () => {
    pair.dut.ip("link del dut0");
    pair.dut.ip("link add br0 type bridge");
    const agent = startAgent();
    const answer = agent.next();
    await vi.waitFor(() => expect(agent.logs.join()).toContain("br0: not used"), 15_000);
    pair.addCable("farm0", "usb0");
    pair.farm.ip("addr add 10.9.0.1/24 dev farm0");
    pair.farm.ip("link set farm0 up");
    startDhcpServer();
    expect((await answer).state?.interfaces).toMatchObject([{ name: "usb0", method: "dhcp" }]);
  });

  test("configures one of two adapters if the other has no server", async () => {
    pair.addCable("other0", "aaa0");
    pair.farm.ip("link set other0 up");
    pair.farm.ip("link set farm0 up");
    startDhcpServer();
    const agent = startAgent({ othersWaitMs: 300 });
    expect((await agent.next()).state?.interfaces).toMatchObject([{ name: "dut0" }]);
    expect(agent.logs.join("\n")).toContain("aaa0: has a link");
  });

  describe("with BOOTIF", () => {
    const bootInterface = "02:00:00:00:00:07";
    beforeEach(() => {
      pair.addCable("other0", "aaa0");
      for (const end of ["other0", "farm0"]) pair.farm.ip(`link set ${end} up`);
    });

    test.each<[string, Wishes, { name: string; method: string }]>([
      ["the address comes from the interface that it names", {}, { name: "dut0", method: "dhcp" }],
      [
        "a static address is set on the interface that it names",
        { ip: "10.9.0.7::10.9.0.1:255.255.255.0" },
        { name: "dut0", method: "static" },
      ],
      [
        "ip= may name another",
        { ip: "10.9.0.7:::255.255.255.0::aaa0:off" },
        { name: "aaa0", method: "static" },
      ],
    ])("%s", async (_name, wishes, expected) => {
      pair.dut.ip(`link set dut0 address ${bootInterface}`);
      startDhcpServer();
      const agent = startAgent({ bootInterface, ...wishes });
      expect((await agent.next()).state?.interfaces).toMatchObject([expected]);
      expect(agent.logs.join("\n")).toMatch(/: not used, (BOOTIF|ip=) names another interface/);
    });

    test("all interfaces are used when none has its address", async () => {
      startDhcpServer();
      const agent = startAgent({ bootInterface, bootInterfaceWaitMs: 300, othersWaitMs: 300 });
      expect((await agent.next()).state?.interfaces).toMatchObject([{ name: "dut0" }]);
      expect(agent.logs.join("\n")).toContain("no interface has the address of BOOTIF");
    });
  });

  test("ip= without a name server is logged", async () => {
    pair.farm.ip("link set farm0 up");
    const agent = startAgent({ ip: "10.9.0.7::10.9.0.1:255.255.255.0" });
    expect((await agent.next()).state?.nameservers).toEqual([]);
    expect(agent.logs.join("\n")).toContain("ip= has no name server");
  });

  test("changes the name server on renewal, and keeps the address", async () => {
    pair.farm.ip("link set farm0 up");
    const first = startDhcpServer();
    const { state } = await startAgent().next();
    first.kill();
    await once(first, "exit");
    startDhcpServer(["--dhcp-option=6,10.9.0.2"]);
    const [command, ...rest] = [...pair.dut.enter, "sh", "-c", `kill -USR1 $(cat ${directory}/dut0.pid)`];
    await vi.waitFor(
      () => {
        // Again each time, because the server may not be ready yet.
        execFileSync(command!, rest);
        expect(readFileSync(join(directory, "resolv.conf"), "utf8")).toContain("nameserver 10.9.0.2\n");
      },
      { timeout: 15_000, interval: 1_000 },
    );
    const [ip, ...words] = [...pair.dut.enter, pair.busybox, "ip", "addr", "show", "dev", "dut0"];
    expect(execFileSync(ip!, words, { encoding: "utf8" })).toContain(`${state!.interfaces[0]!.address}/24`);
  });
});

describe("ip=", () => {
  test("sets a static address with all fields", async () => {
    pair.farm.ip("link set farm0 up");
    const ip = "10.9.0.7::10.9.0.1:255.255.255.0:board:dut0:off:10.9.0.3:10.9.0.4:10.9.0.5";
    const agent = startAgent({ ip });
    expect((await agent.next()).state).toEqual({
      interfaces: [{ name: "dut0", address: "10.9.0.7", prefixLength: 24, method: "static" }],
      nameservers: ["10.9.0.3", "10.9.0.4"],
      ntpServers: ["10.9.0.5"],
      searchDomains: [],
    });
    expect(readRoutes()).toContain("default via 10.9.0.1 dev dut0");
  });

  test("off configures nothing", async () => {
    expect((await startAgent({ ip: "off" }).next()).state?.interfaces).toEqual([]);
  });
});

const PLAIN: InterfaceSettings = {
  name: "dut0",
  asksDhcp: false,
  addresses: [],
  routes: [],
  nameservers: [],
  forwards: false,
};

describe("interfaces configured by hand", () => {
  test("get addresses, a gateway, routes, name servers and forwarding", async () => {
    pair.farm.ip("link set farm0 up");
    const forwardPath = join(directory, "ip_forward");
    const interfaces = [
      {
        ...PLAIN,
        addresses: ["10.9.0.7/24", "fd00:9::7/64"],
        gateway: "10.9.0.1",
        routes: [
          { to: "10.77.0.0/16", via: "10.9.0.9" },
          { to: "fd00:77::/32", via: "fd00:9::1" },
        ],
        nameservers: ["10.9.0.3", "10.9.0.4"],
        forwards: true,
      },
    ];
    const agent = startAgent({ interfaces, forwardPath });
    expect((await agent.next()).state).toEqual({
      interfaces: [
        { name: "dut0", address: "10.9.0.7", prefixLength: 24, method: "static" },
        { name: "dut0", address: "fd00:9::7", prefixLength: 64, method: "static" },
      ],
      nameservers: ["10.9.0.3", "10.9.0.4"],
      ntpServers: [],
      searchDomains: [],
    });
    expect(readRoutes()).toContain("default via 10.9.0.1 dev dut0");
    expect(readRoutes()).toContain("10.77.0.0/16 via 10.9.0.9 dev dut0");
    expect(readFileSync(forwardPath, "utf8")).toBe("1\n");
    expect(readFileSync(join(directory, "resolv.conf"), "utf8")).toBe(
      "nameserver 10.9.0.3\nnameserver 10.9.0.4\n",
    );
  });

  test("use DHCP on one and a fixed address on the other", async () => {
    pair.addCable("other0", "dut1");
    pair.farm.ip("link set farm0 up");
    startDhcpServer();
    const interfaces = [
      { ...PLAIN, asksDhcp: true, nameservers: ["10.9.0.8"] },
      { ...PLAIN, name: "dut1", addresses: ["192.168.9.1/24"] },
    ];
    const agent = startAgent({ interfaces });
    expect((await agent.next()).state).toMatchObject({
      interfaces: [
        { name: "dut0", method: "dhcp" },
        { name: "dut1", address: "192.168.9.1", method: "static" },
      ],
      nameservers: ["10.9.0.8", "10.9.0.1"],
    });
    expect(agent.logs.join("\n")).toContain("dut1: has no link");
  });

  test("may appear late", async () => {
    pair.dut.ip("link del dut0");
    const agent = startAgent({
      interfaces: [{ ...PLAIN, name: "usb0", addresses: ["10.9.0.7/24"] }],
    });
    const answer = agent.next();
    await vi.waitFor(() => expect(agent.logs.join()).toContain("usb0: missing"), 15_000);
    pair.addCable("farm0", "usb0");
    pair.farm.ip("link set farm0 up");
    expect((await answer).state?.interfaces).toMatchObject([{ name: "usb0" }]);
  });

  test.each([
    { name: "no such interface", wish: { name: "eth7" }, code: "NETWORK_NO_INTERFACE" },
    { name: "no link", wish: { addresses: ["10.9.0.7/24"] }, code: "NETWORK_NO_CARRIER" },
    {
      name: "an unreachable gateway",
      wish: { addresses: ["10.9.0.7/24"], gateway: "172.16.0.1" },
      code: "NETWORK_FAILED",
    },
    { name: "an invalid address", wish: { addresses: ["10.9.0.777/24"] }, code: "NETWORK_FAILED" },
  ])("$name", async ({ wish, code }) => {
    expect(await startAgent({ waitMs: 1000, interfaces: [{ ...PLAIN, ...wish }] }).next()).toEqual({
      error: code,
    });
  });
});

describe("fails with a code if there is", () => {
  test("no server", async () => {
    pair.farm.ip("link set farm0 up");
    expect(await startAgent({ waitMs: 2000 }).next()).toEqual({ error: "NETWORK_NO_LEASE" });
  });

  test("no link", async () => {
    expect(await startAgent({ waitMs: 1000 }).next()).toEqual({ error: "NETWORK_NO_CARRIER" });
  });

  test("no such interface", async () => {
    pair.farm.ip("link set farm0 up");
    const agent = startAgent({ waitMs: 1000, ip: "eth7:dhcp" });
    expect(await agent.next()).toEqual({ error: "NETWORK_NO_INTERFACE" });
    expect(agent.logs.join("\n")).toContain("dut0: not used, ip= names another interface");
  });

  test("an unreachable gateway", async () => {
    pair.farm.ip("link set farm0 up");
    const agent = startAgent({ ip: "10.9.0.7::172.16.0.1:255.255.255.0::dut0:off" });
    expect(await agent.next()).toEqual({ error: "NETWORK_FAILED" });
  });
});

test("reads the time of a real NTP server", async () => {
  pair.farm.ip("link set farm0 up");
  startDhcpServer();
  const configPath = join(directory, "chrony.conf");
  writeFileSync(configPath, `local stratum 8\nallow\ncmdport 0\npidfile ${directory}/chronyd.pid\n`);
  pair.farm.startTool("chronyd", ["-d", "-x", "-u", "root", "-f", configPath]);
  const agent = startAgent({ askTime: true });
  expect((await agent.next()).state?.ntpServers).toEqual(["10.9.0.1"]);
  const { time } = await agent.next();
  expect(time).toMatchObject({ server: "10.9.0.1", stratum: 8 });
  expect(Math.abs(time!.offsetMs)).toBeLessThan(100);
});
