import { describe, expect, it } from "vitest";
import { findNeighbour, parseRoute } from "../../../../agent/sys/network/netconsole.ts";

describe("the route to a host", () => {
  it.each([
    ["10.0.2.2 dev eth0 src 10.0.2.15 \n    cache\n", { device: "eth0", source: "10.0.2.15" }],
    [
      "192.0.2.9 via 10.0.2.2 dev enp1s0 table main src 10.0.2.15 uid 0 \n    cache \n",
      { device: "enp1s0", source: "10.0.2.15", gateway: "10.0.2.2" },
    ],
    ["local 10.0.2.15 dev lo src 10.0.2.15", undefined],
    ["RTNETLINK answers: Network is unreachable", undefined],
    ["", undefined],
  ])("%j", (text, route) => expect(parseRoute(text)).toEqual(route));
});

describe("the hardware address of a neighbour", () => {
  const table = `IP address       HW type     Flags       HW address            Mask     Device
10.0.2.3         0x1         0x0         00:00:00:00:00:00     *        eth0
10.0.2.2         0x1         0x2         52:55:0a:00:02:02     *        eth0
`;
  it.each([
    ["10.0.2.2", "eth0", "52:55:0a:00:02:02"],
    ["10.0.2.2", "eth1", undefined],
    ["10.0.2.3", "eth0", undefined],
    ["10.0.2.20", "eth0", undefined],
  ])("%s at %s", (address, device, mac) => expect(findNeighbour(table, address, device)).toBe(mac));
});
