/**
 * System calls on the running kernel, on a tmpfs and an ext4 image of the test's own.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { call, callAsync } from "../../../agent/kernel/syscall.ts";
import * as kernel from "../../../agent/kernel/syscalls.ts";

let directory: string;
let rootFd: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dutboot-kernel-"));
  kernel.mount({ source: "test", target: directory, type: "tmpfs", data: "size=16m,mode=0755" });
  rootFd = openSync(directory, kernel.O_DIRECTORY | kernel.O_PATH);
});

afterEach(() => {
  closeSync(rootFd);
  kernel.umount(directory);
  rmdirSync(directory);
});

const caught = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe("errors of system calls", () => {
  test.each<[string, () => unknown, object]>([
    ["a missing file", () => kernel.openInRoot(rootFd, "nosuch", 0), { code: "ENOENT", syscall: "openat2" }],
    [
      "an unknown file system",
      () => kernel.mount({ target: directory, type: "nosuchfs" }),
      { code: "ENODEV" },
    ],
    [
      "a path that is not a mount",
      () => kernel.umount(join(directory, "x")),
      { code: "ENOENT", syscall: "umount2" },
    ],
    [
      "a name with a NUL inside",
      () => kernel.mkdirat(rootFd, Buffer.from("a\0b"), 0o755),
      { code: "EINVAL" },
    ],
    ["a text with a NUL inside", () => kernel.mkdirat(rootFd, "a\0b", 0o755), { name: "TypeError" }],
    ["a closed descriptor", () => kernel.fchmod(9999, 0o600), { code: "EBADF" }],
  ])("%s", (_name, work, expected) => {
    expect(caught(work)).toMatchObject(expected);
  });

  test("parallel calls keep their own errors", async () => {
    const results = await Promise.allSettled([
      callAsync("umount2", [join(directory, "nosuch"), 0]),
      callAsync("ioctl", [9999, 0, 0]),
      callAsync("syncfs", [rootFd]),
      callAsync("sync", []),
    ]);
    expect(results.map((result) => (result.status === "rejected" ? result.reason.code : "done"))).toEqual([
      "ENOENT",
      "EBADF",
      "EBADF", // O_PATH
      "done",
    ]);
  });

  test("a value that cannot be an argument of a system call is refused before the call", () => {
    for (const word of [undefined, {}, [], true, Symbol("x"), () => {}]) {
      expect(() => call("umount2", [word as never, 0])).toThrow(TypeError);
    }
    expect(() => call("umount2", Array(8).fill(0))).toThrow(TypeError);
  });
});

describe("paths stay inside the root", () => {
  beforeEach(() => {
    mkdirSync(join(directory, "etc"));
    writeFileSync(join(directory, "etc/passwd"), "inside");
    symlinkSync("/etc", join(directory, "absolute"));
    symlinkSync("../../../../etc", join(directory, "upwards"));
    symlinkSync("/proc/self/root/etc", join(directory, "magic"));
    symlinkSync("loop", join(directory, "loop"));
  });

  test.each([
    "etc/passwd",
    "/etc/passwd",
    "absolute/passwd",
    "upwards/passwd",
    "../../etc/passwd",
    "absolute/../../etc/passwd",
  ])("%s", (path) => {
    const fd = kernel.openInRoot(rootFd, path, constants.O_RDONLY);
    expect(readFileSync(fd, "utf8")).toBe("inside");
    closeSync(fd);
  });

  test("a file created through a symlink is inside the root", () => {
    const fd = kernel.openInRoot(rootFd, "absolute/new", constants.O_CREAT | constants.O_WRONLY, 0o640);
    writeSync(fd, "x");
    closeSync(fd);
    expect(statSync(join(directory, "etc/new")).mode & 0o777).toBe(0o640);
  });

  test.each([
    ["loop", {}, "ELOOP"],
    ["absolute/passwd", { noSymlinks: true }, "ELOOP"],
    ["etc/passwd/x", {}, "ENOTDIR"],
  ])("%s with %j gives %s", (path, options, code) => {
    expect(caught(() => kernel.openInRoot(rootFd, path, 0, 0, options))).toMatchObject({ code });
  });

  test("a magic link is not followed", () => {
    mkdirSync(join(directory, "proc"));
    kernel.mount({ source: "proc", target: join(directory, "proc"), type: "proc" });
    try {
      expect(caught(() => kernel.openInRoot(rootFd, "magic/passwd", 0))).toMatchObject({ code: "ELOOP" });
      expect(
        caught(() => kernel.openInRoot(rootFd, "proc/version", 0, 0, { sameMount: true })),
      ).toMatchObject({
        code: "EXDEV",
      });
    } finally {
      kernel.umount(join(directory, "proc"));
    }
  });
});

describe("tar entries", () => {
  test("names of any bytes", () => {
    const name = Buffer.from([0xff, 0xfe, 0x41]);
    kernel.mkdirat(rootFd, name, 0o700);
    kernel.symlinkat(Buffer.from([0x80]), rootFd, Buffer.from([0x81]));
    expect(readdirSync(directory, { encoding: "buffer" }).sort(Buffer.compare)).toEqual([
      Buffer.from([0x81]),
      name,
    ]);
    expect(kernel.readlinkat(rootFd, Buffer.from([0x81]))).toEqual(Buffer.from([0x80]));
    kernel.unlinkat(rootFd, name, { directory: true });
    kernel.unlinkat(rootFd, Buffer.from([0x81]));
    expect(readdirSync(directory)).toEqual([]);
  });

  test("device nodes and pipes", () => {
    kernel.mknodat(rootFd, "whiteout", constants.S_IFCHR);
    kernel.mknodat(rootFd, "render", constants.S_IFCHR | 0o660, { major: 226, minor: 128 });
    kernel.mknodat(rootFd, "large", constants.S_IFBLK | 0o660, { major: 259, minor: 70_000 });
    kernel.mknodat(rootFd, "pipe", constants.S_IFIFO | 0o600);
    const at = (name: string) => lstatSync(join(directory, name));
    expect(at("whiteout").rdev).toBe(0);
    expect(at("whiteout").isCharacterDevice()).toBe(true);
    // Node gives the C library's 64-bit form of a device number.
    expect(at("render").rdev).toBe(226 * 256 + 128);
    expect(execFileSync("stat", ["-c", "%Hr %Lr", join(directory, "large")], { encoding: "utf8" })).toBe(
      "259 70000\n",
    );
    expect(at("pipe").isFIFO()).toBe(true);
  });

  test.each([
    [{ sec: 0, nsec: 0 }, 0n],
    [{ sec: 1, nsec: 999_999_999 }, 1_999_999_999n],
    [{ sec: -1, nsec: 700_000_001 }, -299_999_999n],
    [{ sec: -312_753_294n, nsec: 700_000_001 }, -312_753_293_299_999_999n],
    [{ sec: 4_294_967_296n, nsec: 5 }, 4_294_967_296_000_000_005n],
  ])("time %o", (time, expectedNs) => {
    symlinkSync("nowhere", join(directory, "link"));
    kernel.utimensat(rootFd, "link", { sec: 5, nsec: 6 }, time);
    const status = lstatSync(join(directory, "link"), { bigint: true });
    expect(status.mtimeNs).toBe(expectedNs);
    expect(status.atimeNs).toBe(5_000_000_006n);
  });

  test("owner and times of a symlink by its descriptor, and IDs above 2^31", () => {
    symlinkSync("nowhere", join(directory, "link"));
    const fd = kernel.openInRoot(rootFd, "link", kernel.O_PATH | kernel.O_NOFOLLOW);
    kernel.fchownat(fd, "", 3_000_000_000, 4_294_967_294);
    kernel.utimensat(fd, "", { sec: 1, nsec: 0 }, { sec: 2, nsec: 0 });
    closeSync(fd);
    expect(lstatSync(join(directory, "link"))).toMatchObject({
      uid: 3_000_000_000,
      gid: 4_294_967_294,
      mtimeMs: 2000,
    });
  });

  test("all twelve bits of a mode, also through an O_PATH descriptor", () => {
    writeFileSync(join(directory, "f"), "");
    const fd = kernel.openInRoot(rootFd, "f", kernel.O_PATH);
    expect(caught(() => kernel.fchmod(fd, 0o7777))).toMatchObject({ code: "EBADF" });
    kernel.fchmodat(rootFd, kernel.pathOfDescriptor(fd), 0o7755);
    closeSync(fd);
    expect(statSync(join(directory, "f")).mode & 0o7777).toBe(0o7755);
  });

  test("hard links: of a symlink itself, and of a descriptor without a name", () => {
    symlinkSync("nowhere", join(directory, "link"));
    kernel.linkat(rootFd, "link", rootFd, "link2");
    expect(lstatSync(join(directory, "link2")).ino).toBe(lstatSync(join(directory, "link")).ino);
  });

  test("rename without replacing", () => {
    writeFileSync(join(directory, "a"), "a");
    writeFileSync(join(directory, "b"), "b");
    const rename = (flags: number) => kernel.renameat2(rootFd, "a", rootFd, "b", flags);
    expect(caught(() => rename(kernel.RENAME_NOREPLACE))).toMatchObject({ code: "EEXIST" });
  });
});

describe("extended attributes", () => {
  test("values of any bytes, an empty one, one of 60 KiB, on a file and on a symlink", () => {
    writeFileSync(join(directory, "f"), "");
    symlinkSync("f", join(directory, "l"));
    const capability = Buffer.from("0100000280000000000000000000000000000000", "hex");
    kernel.lsetxattr(join(directory, "f"), "security.capability", capability);
    kernel.lsetxattr(join(directory, "f"), "trusted.empty", Buffer.alloc(0));
    kernel.lsetxattr(join(directory, "l"), "trusted.of.link", Buffer.from([0, 255]));
    const fd = openSync(join(directory, "f"), "r");
    kernel.fsetxattr(fd, "trusted.large", Buffer.alloc(60 * 1024, 0x80));
    expect(kernel.fgetxattr(fd, "security.capability")).toEqual(capability);
    expect(kernel.fgetxattr(fd, "trusted.empty")).toEqual(Buffer.alloc(0));
    expect(kernel.fgetxattr(fd, "trusted.large")).toHaveLength(60 * 1024);
    expect(kernel.lgetxattr(join(directory, "l"), "trusted.of.link")).toEqual(Buffer.from([0, 255]));
    expect(kernel.lgetxattr(join(directory, "f"), "trusted.of.link")).toBeUndefined();
    expect(kernel.flistxattr(fd).map(String).sort()).toEqual([
      "security.capability",
      "trusted.empty",
      "trusted.large",
    ]);
    kernel.fremovexattr(fd, "trusted.large");
    closeSync(fd);
    expect(kernel.llistxattr(join(directory, "f"))).toHaveLength(2);
  });

  test("names of any bytes, and lists longer than the first buffer", () => {
    writeFileSync(join(directory, "f"), "");
    const names = Array.from({ length: 40 }, (_, at) =>
      Buffer.from([...Buffer.from("trusted.name-"), 0x80 + at, 0xff]),
    );
    for (const name of names) kernel.lsetxattr(join(directory, "f"), name, Buffer.from("v"));
    expect(kernel.llistxattr(join(directory, "f")).sort(Buffer.compare)).toEqual(names);
  });

  test("a name without a namespace", () => {
    writeFileSync(join(directory, "f"), "");
    const set = () => kernel.lsetxattr(join(directory, "f"), "nonsense", Buffer.alloc(1));
    expect(caught(set)).toMatchObject({ code: "ENOTSUP" });
  });
});

describe("mounts", () => {
  test("overlay is mounted with the new mount API, one option per lower layer", () => {
    for (const name of ["a", "b", "upper", "work", "merged"]) mkdirSync(join(directory, name));
    writeFileSync(join(directory, "a/f"), "top");
    writeFileSync(join(directory, "b/f"), "below");
    writeFileSync(join(directory, "b/g"), "only below");
    const at = (name: string) => join(directory, name);
    kernel.mountByOptions({
      type: "overlay",
      target: at("merged"),
      options: [
        ["lowerdir+", at("a")],
        ["lowerdir+", at("b")],
        ["upperdir", at("upper")],
        ["workdir", at("work")],
      ],
    });
    try {
      expect(readFileSync(at("merged/f"), "utf8") + readFileSync(at("merged/g"), "utf8")).toBe(
        "toponly below",
      );
      writeFileSync(at("merged/new"), "x");
      expect(readdirSync(at("upper"))).toEqual(["new"]);
    } finally {
      kernel.umount(at("merged"));
    }
  });

  test("the error names an unknown option", () => {
    const mount = () =>
      kernel.mountByOptions({ type: "tmpfs", target: directory, options: [["nosuchoption", "1"]] });
    expect(caught(mount)).toMatchObject({ code: "EINVAL", message: expect.stringContaining("nosuchoption") });
  });

  test("options that would be truncated are refused", () => {
    const mount = () => kernel.mount({ target: directory, type: "tmpfs", data: "x".repeat(4096) });
    expect(mount).toThrow(RangeError);
  });
});

describe("loop devices and fs-verity", () => {
  test("a file becomes a block device until its last user closes it", () => {
    const image = join(directory, "disk.img");
    writeFileSync(image, "");
    truncateSync(image, 8 * 1024 * 1024);
    execFileSync("mkfs.ext4", ["-q", "-O", "verity", "-b", "4096", image]);
    const target = join(directory, "mnt");
    mkdirSync(target);
    const fd = openSync(image, "r+");
    const loop = kernel.attachLoop(fd, { readOnly: false });
    closeSync(fd);
    kernel.mount({ source: loop.path, target, type: "ext4" });
    loop.close();
    const name = loop.path.replace("/dev/", "");
    try {
      writeFileSync(join(target, "object"), "content");
      expect(readFileSync(`/sys/block/${name}/loop/backing_file`, "utf8")).toContain("disk.img");
    } finally {
      kernel.umount(target);
    }
    expect(() => readlinkSync(`/sys/block/${name}/loop/backing_file`)).toThrow();
  });

  test("a loop device is read-only by default", () => {
    const image = join(directory, "disk.img");
    writeFileSync(image, Buffer.alloc(1024 * 1024));
    const fd = openSync(image, "r");
    const loop = kernel.attachLoop(fd);
    closeSync(fd);
    expect(readFileSync(`/sys/block/${loop.path.replace("/dev/", "")}/ro`, "utf8").trim()).toBe("1");
    loop.close();
  });

  test("a directory is refused", () => {
    const fd = openSync(directory, "r");
    expect(caught(() => kernel.attachLoop(fd))).toMatchObject({ code: "EINVAL", syscall: "ioctl" });
    closeSync(fd);
  });

  test("fs-verity fails on a file system without it", async () => {
    writeFileSync(join(directory, "f"), "x");
    const fd = openSync(join(directory, "f"), "r");
    await expect(kernel.enableVerity(fd)).rejects.toMatchObject({ syscall: "ioctl" });
    closeSync(fd);
  });
});

test("a pipe passes data from its write end to its read end", () => {
  const { readFd, writeFd } = kernel.createPipe();
  writeSync(writeFd, "through");
  closeSync(writeFd);
  expect(readFileSync(readFd, "utf8")).toBe("through");
  closeSync(readFd);
});
