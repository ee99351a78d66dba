import { expect, test } from "vitest";
import { isKernelError, KernelError, nameErrno } from "../../../agent/kernel/errno.ts";
import { encodeDevice } from "../../../agent/kernel/files.ts";
import { getSyscallNumber } from "../../../agent/kernel/syscall-numbers.ts";

test.each([
  [1, "EPERM"],
  [2, "ENOENT"],
  [11, "EAGAIN"],
  [28, "ENOSPC"],
  [117, "EUCLEAN"],
  [126, "ENOKEY"],
  [4095, "E4095"],
])("%d is %s", (errno, name) => {
  expect(nameErrno(errno)).toBe(name);
});

test("an error names call, subject and reason", () => {
  const error = new KernelError("mount", 22, "/mnt");
  expect(error).toMatchObject({
    code: "EINVAL",
    errno: 22,
    syscall: "mount",
    message: 'mount "/mnt": EINVAL',
  });
  expect(isKernelError(error, "EINVAL", "ENODEV")).toBe(true);
  expect(isKernelError(error, "ENODEV")).toBe(false);
  expect(isKernelError(new Error("x"))).toBe(false);
});

test.each([
  ["mount", "x64", 165],
  ["mount", "arm64", 40],
  ["openat2", "x64", 437],
  ["openat2", "arm64", 437],
] as const)("%s on %s is number %d", (name, architecture, number) => {
  expect(getSyscallNumber(name, architecture)).toBe(number);
});

test("an architecture we do not know is refused before any call", () => {
  expect(() => getSyscallNumber("mount", "riscv64")).toThrow(TypeError);
});

test.each([
  [{ major: 0, minor: 0 }, 0],
  [{ major: 8, minor: 1 }, 0x801],
  [{ major: 226, minor: 128 }, 0xe280],
  [{ major: 259, minor: 70_000 }, 0x1111_0370],
  [{ major: 4095, minor: 1_048_575 }, 0xffffffff],
])("device %j", (device, encoded) => {
  expect(encodeDevice(device) >>> 0).toBe(encoded >>> 0);
});

test.each([
  { major: 4096, minor: 0 },
  { major: 0, minor: 1 << 20 },
  { major: -1, minor: 0 },
  { major: Number.NaN, minor: 0 },
])("no device: %j", (device) => {
  expect(() => encodeDevice(device)).toThrow(RangeError);
});
