/**
 * Texts that come with a container: environment files, name servers, hosts, signals.
 */
import { describe, expect, test } from "vitest";
import { planHosts, planResolvConf } from "../../../agent/runtime-spec/name-files.ts";
import { resolveGroups } from "../../../agent/runtime-spec/passwd.ts";
import { parseEnvFile, parseSignal } from "../../../agent/runtime-spec/process.ts";

const refused = (code: string) => expect.objectContaining({ code });

test.each([
  ["A=1\nB=2", ["A=1", "B=2"]],
  ["# no\n\n  A= 1 \r\n", ["A= 1 "]],
  ['A="x y"\nB=a=b\nC', ['A="x y"', "B=a=b", "C"]],
  ["A=1 # kept", ["A=1 # kept"]],
])("environment file %j", (text, expected) => {
  expect(parseEnvFile(text, "x.env")).toEqual(expected);
});

test("a value without a name is reported by its line number, without the value", () => {
  const read = () => parseEnvFile("A=1\n=secret", "x.env");
  expect(read).toThrow(refused("RUN_BAD_SETTING"));
  expect(read).not.toThrow(/secret/);
});

describe("resolv.conf", () => {
  const machine = "search farm.test\nnameserver 192.0.2.53\noptions ndots:1\n";
  test.each([
    [{}, machine],
    [{ nameservers: ["none"] }, undefined],
    [{ nameservers: ["::1"] }, "search farm.test\noptions ndots:1\nnameserver ::1\n"],
    [{ searchDomains: ["a", "b"] }, "search a b\nnameserver 192.0.2.53\noptions ndots:1\n"],
    [{ searchDomains: ["."] }, "nameserver 192.0.2.53\noptions ndots:1\n"],
  ])("%j", (settings, expected) => {
    expect(planResolvConf(machine, settings)).toBe(expected);
  });
});

describe("hosts", () => {
  const lines = (hosts: string[]) => planHosts("dut", hosts).split("\n").slice(3, -1);
  test.each([
    ["a:1.2.3.4", "1.2.3.4 a"],
    ["a;b:1.2.3.4", "1.2.3.4 a b"],
    ["a:2001:db8::1", "2001:db8::1 a"],
    ["a:[2001:db8::1]", "2001:db8::1 a"],
    ["a:host-gateway", "127.0.0.1 a"],
  ])("%s", (text, line) => {
    expect(lines([text])).toEqual([line]);
  });

  test.each(["a", ":1.2.3.4", "a:"])("%j is none", (text) => {
    expect(() => lines([text])).toThrow(refused("RUN_BAD_SETTING"));
  });
});

describe("signals", () => {
  test.each([
    ["SIGTERM", 15],
    ["int", 2],
    ["9", 9],
    ["SIGRTMIN+3", 37],
    ["RTMAX-1", 63],
    ["sigsys", 31],
  ])("%s is %d", (text, number) => {
    expect(parseSignal(text)).toBe(number);
  });

  test.each(["", "SIG", "0", "65", "SIGRTMIN-1", "RTMAX+1", "TERM "])("%j is none", (text) => {
    expect(() => parseSignal(text)).toThrow(refused("RUN_BAD_SETTING"));
  });
});

test("groups by name and number", () => {
  const files = { group: "video:x:44:\nrender:x:105:\n" };
  expect(resolveGroups(["render", "7", "105", "keep-groups"], files)).toEqual([105, 7]);
  expect(() => resolveGroups(["ghosts"], files)).toThrow(refused("IMAGE_UNKNOWN_USER"));
});
