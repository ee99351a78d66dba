import { describe, expect, it } from "vitest";
import { parseArpAnswer, parseRoute } from "../../../../agent/sys/network/netconsole.ts";

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
  it.each([
    [
      "ARPING 10.0.2.2 from 10.0.2.15 eth0\nUnicast reply from 10.0.2.2 [52:55:0a:00:02:02] 0.123ms\nSent 1 probe(s)\n",
      "52:55:0a:00:02:02",
    ],
    [
      "ARPING 10.0.2.9 from 10.0.2.15 eth0\nSent 5 probe(s) (5 broadcast(s))\nReceived 0 response(s)\n",
      undefined,
    ],
  ])("%j", (text, mac) => expect(parseArpAnswer(text)).toBe(mac));
});
