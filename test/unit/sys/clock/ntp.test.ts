import { describe, expect, test } from "vitest";
import { decodeNtpAnswer, encodeNtpRequest } from "../../../../agent/sys/clock/ntp.ts";

const nonce = Buffer.from("0102030405060708", "hex");
const NTP_OF_2026 = 1_767_225_600 + 2_208_988_800; // 2026-01-01T00:00:00Z
const MS_OF_2026 = 1_767_225_600_000;

function buildAnswer(change: (packet: Buffer) => void = () => {}): Buffer {
  const packet = Buffer.alloc(48);
  packet[0] = (4 << 3) | 4;
  packet[1] = 2;
  nonce.copy(packet, 24);
  packet.writeUInt32BE(NTP_OF_2026, 32);
  packet.writeUInt32BE(NTP_OF_2026, 40);
  packet.writeUInt32BE(0x80000000, 44); // sent half a second later
  change(packet);
  return packet;
}

test("sends version 4, client mode and the nonce only", () => {
  const packet = encodeNtpRequest(nonce);
  expect(packet).toHaveLength(48);
  expect(packet[0]).toBe(0x23);
  expect(packet.subarray(40)).toEqual(nonce);
  expect(packet.subarray(1, 40).every((byte) => byte === 0)).toBe(true);
});

test.each([
  ["a clock that is right", MS_OF_2026 - 50, MS_OF_2026 + 550, 0],
  ["a clock ten seconds slow", MS_OF_2026 - 10_050, MS_OF_2026 - 9_450, 10_000],
  ["a clock in 1970", 0, 600, MS_OF_2026 - 50],
  ["a clock in 2038", MS_OF_2026 + 4e11 - 50, MS_OF_2026 + 4e11 + 550, -4e11],
])("computes the offset of %s", (_name, sentMs, receivedMs, offsetMs) => {
  expect(decodeNtpAnswer(buildAnswer(), { nonce, sentMs, receivedMs })).toEqual({
    offsetMs,
    roundTripMs: 100,
    stratum: 2,
  });
});

test("reads times after NTP's seconds wrap in 2036", () => {
  const packet = buildAnswer((bytes) => {
    bytes.writeUInt32BE(1000, 32);
    bytes.writeUInt32BE(1000, 40);
    bytes.writeUInt32BE(0, 44);
  });
  const at2036 = (2 ** 32 - 2_208_988_800 + 1000) * 1000;
  expect(decodeNtpAnswer(packet, { nonce, sentMs: at2036, receivedMs: at2036 })).toMatchObject({
    offsetMs: 0,
  });
});

describe("an invalid answer", () => {
  test.each<[string, (packet: Buffer) => Buffer]>([
    ["too short", (packet) => packet.subarray(0, 47)],
    ["a request sent back", (packet) => patch(packet, 0, 0x23)],
    ["an answer to another request", (packet) => patch(packet, 24, 9)],
    ["a kiss of death", (packet) => patch(patch(packet, 1, 0), 12, ...Buffer.from("RATE"))],
    ["an unsynchronised server", (packet) => patch(packet, 0, (3 << 6) | (4 << 3) | 4)],
    ["stratum 16", (packet) => patch(packet, 1, 16)],
    ["no transmit time", (packet) => packet.fill(0, 40)],
  ])("is refused: %s", (_name, change) => {
    expect(decodeNtpAnswer(change(buildAnswer()), { nonce, sentMs: 0, receivedMs: 0 })).toHaveProperty(
      "refused",
    );
  });
});

function patch(packet: Buffer, at: number, ...bytes: number[]): Buffer {
  packet.set(bytes, at);
  return packet;
}
