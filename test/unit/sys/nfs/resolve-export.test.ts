import { describe, expect, it } from "vitest";
import type { BootOffer } from "../../../../agent/sys/network/lease.ts";
import { resolveExport } from "../../../../agent/sys/nfs/options.ts";

const network = (boot?: BootOffer) => ({
  interfaces: [{ name: "eth0", address: "10.0.2.15", prefixLength: 24, method: "dhcp" as const }],
  boot,
});

describe("takes missing values from the DHCP answer", () => {
  it.each<[string, { server?: string; path?: string; options?: string[] }, BootOffer, string, string[]]>([
    ["nothing but the answer", {}, { rootPath: "10.0.0.1:/srv/root" }, "10.0.0.1:/srv/root", []],
    [
      "next-server and a path alone",
      {},
      { rootPath: "/srv/root", nextServer: "10.0.0.2" },
      "10.0.0.2:/srv/root",
      [],
    ],
    ["the TFTP server last", {}, { rootPath: "/srv", tftpServer: "boot.test" }, "boot.test:/srv", []],
    [
      "its options before the job's",
      { options: ["tcp"] },
      { rootPath: "a:/r,v3,hard" },
      "a:/r",
      ["v3", "hard", "tcp"],
    ],
    ["our address for %s", {}, { rootPath: "a:/srv/%s/root" }, "a:/srv/10.0.2.15/root", []],
    ["the job's server wins", { server: "b" }, { rootPath: "a:/r" }, "b:/r", []],
    ["a path of the job's own", { path: "/mine" }, { rootPath: "a:/r,v3", nextServer: "n" }, "n:/mine", []],
    ["both of the job's own", { server: "b", path: "/%s" }, {}, "b:/10.0.2.15", []],
    ["IPv6", {}, { rootPath: "[fd00::1]:/r" }, "[fd00::1]:/r", []],
  ])("%s", (_name, nfs, boot, place, options) => {
    const found = resolveExport({ options: [], ...nfs }, network(boot));
    expect(`${found.server}:${found.path}`).toBe(place);
    expect(found.options).toEqual(options);
  });

  it.each<[string, { server?: string; path?: string }, BootOffer | undefined]>([
    ["no answer at all", {}, undefined],
    ["a path and no server", { path: "/r" }, {}],
    ["a server and no path", { server: "a" }, { nextServer: "10.0.0.1" }],
    ["a root path that is no path", {}, { rootPath: "iscsi:10.0.0.1::::iqn" }],
  ])("refuses %s", (_name, nfs, boot) => {
    expect(() => resolveExport({ options: [], ...nfs }, network(boot))).toThrow(
      expect.objectContaining({ code: "NFS_EXPORT_UNKNOWN" }),
    );
  });
});
