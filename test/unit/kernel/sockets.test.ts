import { expect, it } from "vitest";
import { encodeAddress } from "../../../agent/kernel/sockets.ts";

const CASES = [
  { address: "10.42.0.1", hex: `02002a390a2a0001${"00".repeat(8)}` },
  { address: "::1", hex: `0a002a3900000000${"00".repeat(15)}0100000000` },
  { address: "fd00:9::7", hex: `0a002a3900000000fd000009${"00".repeat(11)}0700000000` },
  {
    address: "1:2:3:4:5:6:7:8",
    hex: "0a00" + "2a39" + "00000000" + "00010002000300040005000600070008" + "00000000",
  },
  {
    address: "::ffff:10.0.0.1",
    hex: `0a002a3900000000${"00".repeat(10)}ffff0a00000100000000`,
  },
];

it.each(CASES)("$address", ({ address, hex }) => {
  expect(encodeAddress(address, 10_809).toString("hex")).toBe(hex);
});
