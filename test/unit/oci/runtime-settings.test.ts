/**
 * What settings become in the runtime's config.json: podman's flags as data.
 */
import { describe, expect, test } from "vitest";
import type { AgentError } from "../../../agent/errors.ts";
import type { ContainerSettings } from "../../../agent/job/step.ts";
import { planCapabilities } from "../../../agent/runtime-spec/capabilities.ts";
import { formatRuntimeSpec } from "../../../agent/runtime-spec/config.ts";
import { planResourceLimits } from "../../../agent/runtime-spec/process.ts";
import { type DeviceNode, planResources } from "../../../agent/runtime-spec/resources.ts";
import { planRuntimeSpec, planSecurity } from "../../../agent/runtime-spec/spec.ts";

const ALL = 0x1ffffffffffn;

function codeOf(work: () => unknown): string {
  try {
    return `no error: ${JSON.stringify(work())}`;
  } catch (error) {
    return (error as AgentError).code;
  }
}

const render: DeviceNode = {
  source: "/dev/dri/renderD128",
  path: "/dev/dri/renderD128",
  type: "c",
  major: 226,
  minor: 128,
  fileMode: 0o660,
  uid: 0,
  gid: 105,
  access: "rw",
};

function plan(container: ContainerSettings, devices: DeviceNode[] = [render]) {
  return planRuntimeSpec({
    config: { env: [], entrypoint: ["/entry"], cmd: [], workingDir: "", user: "" },
    step: { env: [], container },
    rootPath: "/root-path",
    hostname: "dut",
    binds: [],
    devices,
    cgroupPath: "/test/container",
    capabilityMask: ALL,
    openFileLimit: 1024,
    initPath: "/usr/bin/some-init",
  });
}

describe("capabilities", () => {
  const names = (wishes: Partial<Parameters<typeof planCapabilities>[0]>) =>
    planCapabilities({ isPrivileged: false, uid: 0, mask: ALL, ...wishes });

  test.each([
    ["podman's default set", {}, 11, "CAP_CHOWN"],
    ["privileged", { isPrivileged: true }, 41, "CAP_CHOWN"],
    ["one more", { added: ["sys_ptrace"] }, 12, "CAP_CHOWN"],
    ["all of them", { added: ["ALL"] }, 41, "CAP_CHOWN"],
    ["all but one", { added: ["ALL"], dropped: ["CAP_CHOWN"] }, 40, "CAP_DAC_OVERRIDE"],
    ["one alone", { added: ["CAP_SYS_TIME"], dropped: ["ALL"] }, 1, "CAP_SYS_TIME"],
    ["privileged without one", { isPrivileged: true, dropped: ["chown"] }, 40, "CAP_DAC_OVERRIDE"],
    ["no more than the agent has", { isPrivileged: true, mask: 0b10n }, 1, "CAP_DAC_OVERRIDE"],
  ])("%s", (_name, wishes, count, first) => {
    const { bounding, effective, ambient } = names(wishes);
    expect([bounding.length, bounding[0]]).toEqual([count, first]);
    expect(effective).toEqual(bounding);
    expect(ambient).toEqual([]);
  });

  test("another user has those given by name, over exec as well", () => {
    const sets = names({ isPrivileged: true, uid: 1000, added: ["net_raw"] });
    expect(sets.bounding).toHaveLength(41);
    expect([sets.effective, sets.permitted, sets.inheritable, sets.ambient]).toEqual(
      Array(4).fill(["CAP_NET_RAW"]),
    );
  });
});

describe("limits", () => {
  const file = { type: "RLIMIT_NOFILE", soft: 1024, hard: 1024 };
  test.each([
    [[], [file]],
    [["host"], []],
    [["nofile=10:20"], [{ type: "RLIMIT_NOFILE", soft: 10, hard: 20 }]],
    [["core=-1"], [file, { type: "RLIMIT_CORE", soft: 2n ** 64n - 1n, hard: 2n ** 64n - 1n }]],
    [["nproc=5"], [file, { type: "RLIMIT_NPROC", soft: 5, hard: 5 }]],
  ])("%j", (ulimits, expected) => {
    expect(planResourceLimits(ulimits, 1024)).toEqual(expected);
  });

  test.each(["nofile", "nofile=", "files=1", "nofile=2:1", "core=-1:5", "nofile=1:2:3"])(
    "%s is none",
    (text) => {
      expect(codeOf(() => planResourceLimits([text], 1024))).toBe("RUN_BAD_SETTING");
    },
  );

  test("no limit is written to the digit", () => {
    expect(formatRuntimeSpec(plan({ ulimits: ["core=-1"] }))).toContain('"soft":18446744073709551615,');
  });

  test.each([
    [{}, {}],
    [{ memoryBytes: 1 << 20 }, { memory: { limit: 1 << 20 } }],
    [{ cpus: 1.5 }, { cpu: { quota: 150_000, period: 100_000 } }],
    [{ maxProcesses: 20 }, { pids: { limit: 20 } }],
    // No limit, by podman's word.
    [{ maxProcesses: -1 }, {}],
    [{ maxProcesses: 0, memoryBytes: 0, cpus: 0 }, {}],
  ])("%j", (settings, expected) => {
    expect(planResources(settings)).toEqual(expected);
  });
});

describe("devices", () => {
  test("privileged: all are there already", () => {
    const { linux, mounts } = plan({});
    expect(linux.devices).toEqual([]);
    expect(linux.resources).toEqual({});
    expect(mounts.find(({ destination }) => destination === "/dev")?.type).toBe("bind");
  });

  test("under another name", () => {
    const { mounts } = plan({}, [{ ...render, path: "/dev/gpu" }]);
    expect(mounts.find(({ destination }) => destination === "/dev/gpu")?.source).toBe(render.source);
  });

  test("not privileged: these alone", () => {
    const { linux, mounts } = plan({ isPrivileged: false });
    const { source: _source, access: _access, ...node } = render;
    expect(linux.devices).toEqual([node]);
    expect(linux.resources.devices).toEqual([
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 226, minor: 128, access: "rw" },
    ]);
    expect(mounts.find(({ destination }) => destination === "/dev")?.type).toBe("tmpfs");
  });
});

describe("security options", () => {
  const names = ({ maskedPaths, readonlyPaths }: ReturnType<typeof planSecurity>) => [
    ...maskedPaths,
    ...readonlyPaths,
  ];
  test.each([
    ["nothing is hidden from who is privileged", true, [], [], ["/proc/sys", "/proc/kcore"]],
    ["kernel files are", false, [], ["/proc/sys", "/proc/kcore"], []],
    ["unless all are shown", false, ["unmask=ALL"], [], ["/proc/sys", "/proc/kcore"]],
    ["or one", false, ["unmask=/proc/kcore"], ["/proc/sys"], ["/proc/kcore"]],
    ["or those in a folder", false, ["unmask=/proc/*"], ["/sys/firmware"], ["/proc/kcore", "/proc/sys"]],
    ["more are hidden", true, ["mask=/a:/b"], ["/a", "/b"], []],
    [
      "what is not confined needs nothing",
      true,
      ["label=disable", "seccomp=unconfined", "apparmor=unconfined"],
      [],
      [],
    ],
  ])("%s", (_name, isPrivileged, options, hidden, shown) => {
    const paths = names(planSecurity(isPrivileged, options));
    expect(paths).toEqual(expect.arrayContaining(hidden));
    for (const path of shown) expect(paths).not.toContain(path);
  });

  test("no new privileges, a profile, options of /proc", () => {
    expect(
      planSecurity(true, ["no-new-privileges", "apparmor=mine", "proc-opts=hidepid=2,gid=5"]),
    ).toMatchObject({ noNewPrivileges: true, appArmorProfile: "mine", procOptions: ["hidepid=2", "gid=5"] });
  });

  test.each(["seccomp=/profile.json", "no-new-privileges=maybe", "magic", "mask="])(
    "%s is refused",
    (option) => {
      expect(codeOf(() => planSecurity(true, [option]))).toBe("RUN_BAD_SETTING");
    },
  );
});

describe("namespaces and the rest", () => {
  test.each([
    [{ pid: "host" }, ["mount", "ipc", "uts", "cgroup"]],
    [{ ipc: "host", uts: "host", cgroups: "host" }, ["mount", "pid"]],
    [{ network: "none" }, ["mount", "pid", "ipc", "uts", "cgroup", "network"]],
    [{ network: "host", ipc: "shareable" }, ["mount", "pid", "ipc", "uts", "cgroup"]],
  ] as [ContainerSettings, string[]][])("%j", (settings, expected) => {
    expect(plan(settings).linux.namespaces.map(({ type }) => type)).toEqual(expected);
  });

  test("the machine's name is not the container's to set", () => {
    expect(plan({ uts: "host" })).not.toHaveProperty("hostname");
  });

  test("an init in front", () => {
    const { process, mounts } = plan({ hasInit: true });
    expect(process.args).toEqual(["/run/podman-init", "--", "/entry"]);
    expect(mounts.find(({ destination }) => destination === "/run/podman-init")?.source).toBe(
      "/usr/bin/some-init",
    );
  });

  test.each([
    { umask: "9" },
    { sysctls: ["kernel.x"] },
    { hasInit: true, pid: "host" },
  ] as ContainerSettings[])("%j is refused", (settings) => {
    expect(codeOf(() => plan(settings))).toBe("RUN_BAD_SETTING");
  });

  test("a terminal has a kind", () => {
    expect(plan({ hasTerminal: true }).process).toMatchObject({
      terminal: true,
      env: expect.arrayContaining(["TERM=xterm"]),
    });
  });
});
