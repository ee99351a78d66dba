/**
 * Which mounts a container gets, in which order, with which options.
 */
import { describe, expect, test } from "vitest";
import {
  isOnMount,
  type MountOptions,
  planMounts,
  planRootPropagation,
} from "../../../agent/runtime-spec/mounts.ts";

const plain: MountOptions = {
  isPrivileged: true,
  isReadOnly: false,
  runsInit: false,
  ipc: "private",
  procOptions: [],
  devPath: "/dev",
  binds: [],
  tmpfs: [],
  fileSystems: new Set(),
};

const find = (options: Partial<MountOptions>, place: string) =>
  planMounts({ ...plain, ...options }).find(({ destination }) => destination === place);

describe("options", () => {
  test.each([
    [[], ["rbind", "rprivate", "rw"]],
    [["ro"], ["rbind", "ro", "rprivate"]],
    [
      ["bind", "rslave", "rw"],
      ["bind", "rslave", "rw"],
    ],
    [
      ["z", "U", "copy", "noexec"],
      ["rbind", "noexec", "rprivate", "rw"],
    ],
  ])("of a bind: %j", (options, expected) => {
    expect(find({ binds: [{ from: "/from", to: "/to", options }] }, "/to")?.options).toEqual(expected);
  });

  test.each([
    ["/to", ["tmpcopyup"], ["tmpcopyup", "nosuid", "nodev"]],
    ["/to", ["notmpcopyup", "exec", "dev", "size=1m", "Z"], ["exec", "dev", "size=1m", "nosuid"]],
    ["/dev/shm", ["tmpcopyup"], ["nosuid", "nodev"]],
  ])("of a tmpfs on %s: %j", (to, options, expected) => {
    expect(find({ tmpfs: [{ to, options }] }, to)?.options).toEqual(expected);
  });

  test("the root is shared as far as its mounts ask", () => {
    const of = (...options: string[]) =>
      planRootPropagation([{ destination: "/", type: "bind", source: "/", options }]);
    expect([of("rprivate"), of("slave"), of("rshared", "slave")]).toEqual([undefined, "rslave", "shared"]);
  });
});

describe("places", () => {
  test("mounts below another follow it, and the job's mounts override others", () => {
    const binds = [
      { from: "/b", to: "/a/b", options: [] },
      { from: "/a", to: "/a/", options: [] },
      { from: "/shm", to: "/dev/shm", options: [] },
    ];
    const places = planMounts({ ...plain, binds }).map(({ source }) => source);
    expect(places.indexOf("/b")).toBeGreaterThan(places.indexOf("/a"));
    expect(places).toContain("/shm");
    expect(places).not.toContain("shm");
  });

  test.each([
    ["/mnt", true],
    ["/mnt/", true],
    ["/mnt/deep/er", true],
    ["/mntx", false],
    ["/", false],
  ])("%s on /mnt: %s", (path, expected) => {
    expect(isOnMount(path, [{ destination: "/mnt" }])).toBe(expected);
  });

  test("a read-only root has places to write to, an init has more", () => {
    const tmpfs = (options: Partial<MountOptions>) =>
      planMounts({ ...plain, ...options })
        .filter(({ source }) => source === "tmpfs")
        .map(({ destination }) => destination);
    expect(tmpfs({})).toEqual([]);
    expect(tmpfs({ isReadOnly: true })).toEqual(["/run", "/tmp", "/var/tmp"]);
    expect(tmpfs({ runsInit: true })).toEqual(["/run", "/tmp", "/run/lock"]);
  });

  test.each([
    [{}, "rw"],
    [{ isPrivileged: false }, "ro"],
    [{ isPrivileged: false, runsInit: true }, "rw"],
  ])("cgroups of %j are %s", (options, expected) => {
    expect(find(options, "/sys/fs/cgroup")?.options).toContain(expected);
  });

  test.each([
    [{ ipc: "private" }, ["nosuid", "nodev", "mode=1777"]],
    [{ ipc: "private", shmSizeBytes: 5 }, ["nosuid", "nodev", "mode=1777", "size=5"]],
    [{ ipc: "host" }, ["rbind", "rprivate", "rw"]],
    [{ ipc: "none", isPrivileged: false }, undefined],
  ] as [Partial<MountOptions>, string[] | undefined][])("shared memory of %j", (options, expected) => {
    expect(find(options, "/dev/shm")?.options).toEqual(expected);
  });
});
