import { describe, expect, test } from "vitest";
import { AgentError } from "../../../../agent/errors.ts";
import { parseIpParameter } from "../../../../agent/job/syntax/ip-parameter.ts";

const none = { nameservers: [], ntpServers: [] };

describe("what ip= means", () => {
  test.each([
    ["dhcp", { method: "dhcp", ...none }],
    ["on", { method: "dhcp", ...none }],
    ["any", { method: "dhcp", ...none }],
    ["both", { method: "dhcp", ...none }],
    ["", { method: "dhcp", ...none }],
    ["off", { method: "off" }],
    ["none", { method: "off" }],
    [":::::eth0:dhcp", { method: "dhcp", device: "eth0", ...none }],
    ["::::board-7::dhcp", { method: "dhcp", hostname: "board-7", ...none }],
    ["::::::dhcp:10.0.0.53", { method: "dhcp", nameservers: ["10.0.0.53"], ntpServers: [] }],
    [":::::eth0:off", { method: "off" }],
    // dracut's
    ["eth0:dhcp", { method: "dhcp", device: "eth0", ...none }],
    ["enp1s0:on", { method: "dhcp", device: "enp1s0", ...none }],
    ["10.0.0.2", { method: "static", address: "10.0.0.2", prefixLength: 8, ...none }],
    [
      "172.16.0.2:::::eth1",
      { method: "static", address: "172.16.0.2", prefixLength: 16, device: "eth1", ...none },
    ],
    [
      "192.168.1.2::192.168.1.1::",
      { method: "static", address: "192.168.1.2", prefixLength: 24, gateway: "192.168.1.1", ...none },
    ],
    [
      "10.0.0.2::10.0.0.1:24::eth0:none",
      {
        method: "static",
        address: "10.0.0.2",
        prefixLength: 24,
        gateway: "10.0.0.1",
        device: "eth0",
        ...none,
      },
    ],
    [
      "10.0.0.2:10.0.0.9:10.0.0.1:255.255.254.0:board:eth0:off:10.0.0.3:10.0.0.4:10.0.0.5",
      {
        method: "static",
        address: "10.0.0.2",
        prefixLength: 23,
        gateway: "10.0.0.1",
        device: "eth0",
        hostname: "board",
        server: "10.0.0.9",
        nameservers: ["10.0.0.3", "10.0.0.4"],
        ntpServers: ["10.0.0.5"],
      },
    ],
  ])("ip=%s", (text, expected) => {
    expect(parseIpParameter(text)).toEqual(expected);
  });
});

test.each([
  ["a word", "yes"],
  ["an octet above 255", "10.0.0.256"],
  ["a leading zero, octal to some", "10.0.0.010"],
  ["three octets", "10.0.0::10.0.0.1:255.255.255.0::eth0:off"],
  ["a mask with a hole", "10.0.0.2:::255.0.255.0::eth0:off"],
  ["a prefix above 32", "10.0.0.2:::33::eth0:off"],
  ["a gateway that is a name", "10.0.0.2::gateway:24::eth0:off"],
  ["an unknown method", ":::::eth0:guess"],
  ["a name server that is none", "::::::dhcp:dns.example"],
  ["an interface with a slash", ":::::../x:dhcp"],
  ["eleven fields", "10.0.0.2::10.0.0.1:24::eth0:off::::x"],
  ["IPv6", "[2001:db8::2]::[2001:db8::1]:64::eth0:off"],
  ["DHCPv6", "dhcp6"],
  ["iBFT", "ibft"],
])("refused: %s", (_name, text) => {
  expect(() => parseIpParameter(text)).toThrow(AgentError);
  expect(() => parseIpParameter(text)).toThrow(expect.objectContaining({ code: "NETWORK_BAD_PARAMETER" }));
});
