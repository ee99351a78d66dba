import { describe, expect, test } from "vitest";
import { resolveUser } from "../../../agent/runtime-spec/passwd.ts";
import { mergeEnv } from "../../../agent/runtime-spec/process.ts";
import { planRuntimeSpec, type RuntimeSpecOptions } from "../../../agent/runtime-spec/spec.ts";

const passwd =
  "root:x:0:0:root:/root:/bin/sh\ntester:x:1000:1001::/home/tester:/bin/sh\nbroken:x\n4:x:77:77::/four:/bin/sh\n";
const group = "root:x:0:\nvideo:x:44:other,tester\nrender:x:105:tester\n+:::\n";

describe("the image's user", () => {
  test.each([
    ["", { uid: 0, gid: 0, additionalGids: [], home: "/root" }],
    ["root", { uid: 0, gid: 0, additionalGids: [], home: "/root" }],
    ["tester", { uid: 1000, gid: 1001, additionalGids: [44, 105], home: "/home/tester" }],
    ["1000", { uid: 1000, gid: 1001, additionalGids: [44, 105], home: "/home/tester" }],
    ["tester:video", { uid: 1000, gid: 44, additionalGids: [], home: "/home/tester" }],
    ["tester:7", { uid: 1000, gid: 7, additionalGids: [], home: "/home/tester" }],
    // A number without an entry needs none; a number is never a name.
    ["5000", { uid: 5000, gid: 0, additionalGids: [], home: "/" }],
    ["4", { uid: 4, gid: 0, additionalGids: [], home: "/" }],
    ["4294967294:0", { uid: 4294967294, gid: 0, additionalGids: [], home: "/" }],
  ])("%j", (user, expected) => {
    expect(resolveUser(user, { passwd, group })).toEqual(expected);
  });

  test.each(["nobody", "tester:nogroup", "broken", "4294967295", "-1", "tester:"])(
    "%j is unknown",
    (user) => {
      expect(() => resolveUser(user, { passwd, group })).toThrow(
        expect.objectContaining({ code: "IMAGE_UNKNOWN_USER" }),
      );
    },
  );

  test("an image without the files still has root", () => {
    expect(resolveUser("", {})).toEqual({ uid: 0, gid: 0, additionalGids: [], home: "/root" });
  });
});

const plain: RuntimeSpecOptions = {
  config: { env: [], entrypoint: ["/entry"], cmd: ["a", "b"], workingDir: "", user: "" },
  step: { env: [] },
  rootPath: "/root-path",
  hostname: "dut",
  binds: [],
  cgroupPath: "/test/container",
  capabilityMask: 0x1ffffffffffn,
  openFileLimit: 1024,
};

describe("the runtime spec", () => {
  // As `podman run`: another entrypoint takes the image's command away.
  test.each([
    [{}, ["/entry", "a", "b"]],
    [{ argv: [] }, ["/entry", "a", "b"]],
    [{ argv: ["c"] }, ["/entry", "c"]],
    [{ entrypoint: ["/bin/sh"] }, ["/bin/sh"]],
    [{ entrypoint: ["/bin/sh", "-c"], argv: ["x y"] }, ["/bin/sh", "-c", "x y"]],
    [{ entrypoint: [], argv: ["/bin/sh"] }, ["/bin/sh"]],
  ])("of %j runs %j", (words, args) => {
    expect(planRuntimeSpec({ ...plain, step: { env: [], ...words } }).process.args).toEqual(args);
  });

  test("nothing to run is an error", () => {
    const config = { ...plain.config, entrypoint: [], cmd: [] };
    expect(() => planRuntimeSpec({ ...plain, config })).toThrow(
      expect.objectContaining({ code: "RUN_NO_COMMAND" }),
    );
  });

  test("privileged: every capability the agent has, nothing masked, no seccomp, the host's network", () => {
    const spec = planRuntimeSpec(plain);
    expect(spec.process.capabilities.bounding).toHaveLength(41);
    expect(spec.process.capabilities.effective.at(-1)).toBe("CAP_CHECKPOINT_RESTORE");
    expect(spec.linux.maskedPaths).toEqual([]);
    expect(spec.linux.readonlyPaths).toEqual([]);
    expect(spec.linux).not.toHaveProperty("seccomp");
    expect(spec.linux.namespaces.map(({ type }) => type)).toEqual(["mount", "pid", "ipc", "uts", "cgroup"]);
  });

  test("a capability that the agent has not is not asked for", () => {
    const { bounding } = planRuntimeSpec({ ...plain, capabilityMask: 0b101n }).process.capabilities;
    expect(bounding).toEqual(["CAP_CHOWN", "CAP_DAC_READ_SEARCH"]);
  });

  test("environment: defaults, then the image, then the job", () => {
    const config = { ...plain.config, env: ["PATH=/image", "A=1", "B=image"], user: "1000" };
    const { env } = planRuntimeSpec({
      ...plain,
      config,
      step: { env: ["B=job=x", "C=", "FROM_AGENT", "UNKNOWN", "PRE*"] },
      extraEnv: ["A=agent", "FROM_AGENT=2", "PREFIX=3", "F=agent"],
      fileEnv: ["F=file", "B=file"],
      userFiles: { passwd },
    }).process;
    expect(env).toEqual([
      "PATH=/image",
      "HOME=/home/tester",
      "HOSTNAME=dut",
      "container=oci",
      "A=agent",
      "B=job=x",
      "FROM_AGENT=2",
      "PREFIX=3",
      "F=file",
      "C=",
    ]);
  });

  test.each([
    ["", "/"],
    ["/srv", "/srv"],
    ["srv/here", "/srv/here"],
  ])("working directory %j is %j", (workingDir, cwd) => {
    expect(planRuntimeSpec({ ...plain, config: { ...plain.config, workingDir } }).process.cwd).toBe(cwd);
  });

  test("binds come after the standard mounts, message queues only where the kernel has them", () => {
    const binds = [{ from: "/run/results", to: "/results", options: [] }];
    const paths = (options: RuntimeSpecOptions) =>
      planRuntimeSpec(options).mounts.map(({ destination }) => destination);
    const deep = ["/dev/pts", "/dev/shm"];
    expect(paths({ ...plain, binds })).toEqual([
      "/proc",
      "/sys",
      "/dev",
      "/results",
      ...deep,
      "/sys/fs/cgroup",
    ]);
    expect(paths({ ...plain, fileSystems: new Set(["mqueue"]) })).toContain("/dev/mqueue");
  });
});

test("a later value wins and keeps the first one's place", () => {
  expect(mergeEnv(["A=1", "B=2"], ["C=3", "A=4"], ["FLAG"])).toEqual(["A=4", "B=2", "C=3", "FLAG"]);
});
