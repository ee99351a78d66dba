import { describe, expect, it } from "vitest";
import { planNfsMounts, readNfsPort } from "../../../../agent/sys/nfs/options.ts";

const plan = (options: string[], more: { version?: string; server?: string; ownAddress?: string } = {}) =>
  planNfsMounts({ server: "nas", path: "/srv", serverAddress: "10.0.0.1", options, ...more });

describe("options for the kernel", () => {
  it.each<[string, string[], string]>([
    ["LAVA's", ["tcp", "hard", "v3"], "vers=3,nolock,mountproto=tcp,tcp,hard,addr=10.0.0.1"],
    ["a bare-metal farm's", ["tcp", "nfsvers=4.2"], "vers=4.2,clientaddr=0.0.0.0,tcp,addr=10.0.0.1"],
    [
      "ports",
      ["vers=3", "port=1", "mountport=2"],
      "vers=3,nolock,tcp,mountproto=tcp,port=1,mountport=2,addr=10.0.0.1",
    ],
    ["UDP", ["v3", "udp"], "vers=3,nolock,udp,addr=10.0.0.1"],
    ["locks of one's own choice", ["v3", "lock"], "vers=3,tcp,mountproto=tcp,lock,addr=10.0.0.1"],
    ["no locks said twice", ["v3", "nolock"], "vers=3,tcp,mountproto=tcp,nolock,addr=10.0.0.1"],
    [
      "what is not for the kernel",
      ["v3", "rw", "defaults"],
      "vers=3,nolock,tcp,mountproto=tcp,addr=10.0.0.1",
    ],
    ["words nobody knows", ["v3", "future=1"], "vers=3,nolock,tcp,mountproto=tcp,future=1,addr=10.0.0.1"],
  ])("%s", (_name, options, data) => {
    expect(plan(options).map((each) => each.data)).toEqual([data]);
  });

  it.each([
    [[], undefined, ["4.2", "4.1", "4.0", "3"]],
    [["v4"], undefined, ["4.2", "4.1", "4.0"]],
    [[], "4.1", ["4.1"]],
    [["vers=3"], "4.2", ["3"]],
  ])("versions of %j and %j", (options, version, versions) => {
    expect(plan(options, version === undefined ? {} : { version }).map((each) => each.version)).toEqual(
      versions,
    );
  });

  it("names modules, source and our own address", () => {
    expect(plan(["v3"])[0]!.modules).toEqual(["nfs", "nfsv3"]);
    const [newest] = plan([], { ownAddress: "10.0.0.9", server: "fd00::1" });
    expect(newest).toMatchObject({ modules: ["nfs", "nfsv4"], source: "[fd00::1]:/srv" });
    expect(newest!.data).toContain("clientaddr=10.0.0.9");
  });

  it("finds the port", () => {
    expect([readNfsPort([]), readNfsPort(["port=1", "mountport=3", "port=4"])]).toEqual([2049, 4]);
  });
});
