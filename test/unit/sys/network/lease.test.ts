import { expect, test } from "vitest";
import { formatResolvConf, parseLease } from "../../../../agent/sys/network/lease.ts";

test("a complete lease", () => {
  const text =
    "ip=10.0.2.15\nmask=24\nrouter=10.0.2.2 10.0.2.9\ndns=10.0.2.3\nntpsrv=10.0.2.4 10.0.2.5\nsearch=a.example b.example\n" +
    "domain=c.example\nserverid=10.0.2.2\nlease=86400\nrootpath=10.0.2.2:/srv/%s,v3\nsiaddr=10.0.2.3\ntftp=boot.farm.test\n";
  expect(parseLease(text)).toEqual({
    address: "10.0.2.15",
    prefixLength: 24,
    routers: ["10.0.2.2", "10.0.2.9"],
    nameservers: ["10.0.2.3"],
    ntpServers: ["10.0.2.4", "10.0.2.5"],
    searchDomains: ["a.example", "b.example", "c.example"],
    serverId: "10.0.2.2",
    leaseSeconds: 86400,
    boot: { rootPath: "10.0.2.2:/srv/%s,v3", nextServer: "10.0.2.3", tftpServer: "boot.farm.test" },
  });
});

test("ignores malformed addresses and names", () => {
  const text =
    "ip=10.0.0.9\nmask=99\nrouter=$(reboot)\ndns=0.0.0.0 10.0.0.1 ::1 1.2.3\nsearch=ok.example evil\u0007 a;b\nserverid=x\nrootpath=/a b\nsiaddr=x\ntftp=$(reboot)\n";
  expect(parseLease(text)).toEqual({
    address: "10.0.0.9",
    prefixLength: 24,
    routers: [],
    nameservers: ["10.0.0.1"],
    ntpServers: [],
    searchDomains: ["ok.example"],
    boot: {},
  });
});

test.each(["", "ip=\n", "ip=10.0.0\n", "mask=24\n"])("no lease: %j", (text) => {
  expect(parseLease(text)).toBeUndefined();
});

test.each([
  [[], [], ""],
  [["10.0.0.1"], [], "nameserver 10.0.0.1\n"],
  [["10.0.0.1", "10.0.0.1"], ["x.example"], "search x.example\nnameserver 10.0.0.1\n"],
  [
    ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"],
    [],
    "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n",
  ],
])("resolv.conf of %j, %j", (servers, domains, expected) => {
  expect(formatResolvConf(servers, domains)).toBe(expected);
});
