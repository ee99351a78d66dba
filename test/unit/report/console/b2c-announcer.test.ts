import { describe, expect, it } from "vitest";
import type { Dialect } from "../../../../agent/job/job.ts";
import { type Announcer, createAnnouncer } from "../../../../agent/report/console/b2c-announcer.ts";

const INFO = {
  linuxVersion: "6.12.0",
  agentVersion: "dutboot 1.0.0",
  architecture: "x86_64",
  cpu: "A CPU",
  ramBytes: 2_035_176 * 1024,
  disks: [{ name: "nvme0n1", sizeBytes: 512_110_190_592 }],
};

/** What a farm's serial line gets: a terminal ends each line with both characters. */
function record(use: (announcer: Announcer) => void, dialect: Dialect = "b2c"): string {
  const lines: string[] = [];
  const console = { line: (line: string) => void lines.push(`${line}\n`) };
  use(createAnnouncer(dialect, { console, readUptimeMs: () => 12_345, nowMs: () => 1_700_000_000_999 }));
  return lines.join("").replaceAll("\n", "\r\n");
}

/** As CI-Tron's executor does: lines are split at `\n`, keep their `\r` and are searched. */
function countMatches(text: string, pattern: RegExp): number {
  return text.split("\n").filter((line) => pattern.test(line)).length;
}

const JOB_SUCCESS = [
  /\[.*\]: Execution is over, pipeline status: 0\r$/,
  /Execution is over, pipeline status: 0\r?$/,
  /^.*Execution is over, pipeline status: 0\r$/,
];
const SESSION_END = [
  /^.*It's now safe to turn off your computer\r$/,
  /It's now safe to turn off your computer\r?$/,
];

function passContainer(announcer: Announcer): void {
  announcer.containerCreating();
  announcer.containerStarted();
  announcer.containerEnded(0, { continues: true });
}

const ENDINGS: { name: string; use: (announcer: Announcer) => void; status: number }[] = [
  {
    name: "a job that passes",
    use(announcer) {
      announcer.setupStarted(INFO);
      announcer.pipelineStarted();
      passContainer(announcer);
      announcer.ended(0);
      announcer.cleanupStarted();
      announcer.poweringOff();
    },
    status: 0,
  },
  {
    name: "a test that fails",
    use(announcer) {
      announcer.setupStarted(INFO);
      announcer.containerCreating();
      announcer.containerStarted();
      announcer.containerEnded(3, { continues: false });
      announcer.ended(3);
      announcer.poweringOff();
    },
    status: 3,
  },
  {
    name: "a job without containers, as for a cache reset",
    use(announcer) {
      announcer.setupStarted(INFO);
      announcer.ended(0);
      announcer.poweringOff();
    },
    status: 0,
  },
  {
    name: "no network",
    use(announcer) {
      announcer.setupStarted(INFO);
      announcer.networkConnecting();
      announcer.networkFailed();
      announcer.poweringOff();
    },
    status: 1,
  },
  { name: "an end before any start", use: (announcer) => announcer.poweringOff(), status: 1 },
  {
    name: "a second status",
    use(announcer) {
      announcer.ended(4);
      announcer.ended(0);
      announcer.poweringOff();
    },
    status: 4,
  },
];

describe("the end that executors wait for", () => {
  it.each(ENDINGS)("$name", ({ use, status }) => {
    const text = record(use);
    for (const pattern of JOB_SUCCESS) expect(countMatches(text, pattern)).toBe(status === 0 ? 1 : 0);
    for (const pattern of SESSION_END) expect(countMatches(text, pattern)).toBe(1);
    const statuses = [...text.matchAll(/\[12\.35\]: Execution is over, pipeline status: (\d+)\r\n/g)];
    expect(statuses.map(([, number]) => Number(number))).toEqual([status]);
    expect(text.indexOf("Execution is over")).toBeLessThan(text.indexOf("It's now safe"));
  });

  it("prints that it reboots instead of that it is safe to turn off", () => {
    const text = record((announcer) => {
      announcer.ended(0);
      announcer.rebooting();
    });
    expect(countMatches(text, /^\[12\.35\]: Rebooting the computer\r$/)).toBe(1);
    for (const pattern of SESSION_END) expect(countMatches(text, pattern)).toBe(0);
  });

  it("shows its last command like the shell trace of 2021", () => {
    expect(
      countMatches(
        record((announcer) => announcer.commandRunning("poweroff -f")),
        /^\+ poweroff -f\r$/,
      ),
    ).toBe(1);
  });
});

describe("GitLab's sections", () => {
  it("writes starts and ends byte for byte", () => {
    const text = record((announcer) => announcer.networkConnecting()).replaceAll("\r\n", "\n");
    expect(text).toBe(
      "\x1b[0Ksection_end:1700000000:b2c_kernel_boot\r\x1b[0K\n" +
        "\n\x1b[0Ksection_start:1700000000:connect[collapsed=true]\r\x1b[0K\x1b[0;36m[12.35]: Connect to the network\x1b[0m\n\n",
    );
  });

  it("are in order, each closed before the next, and only the test's is expanded", () => {
    const text = record((announcer) => {
      announcer.setupStarted(INFO);
      announcer.modulesLoading();
      announcer.cacheMounting();
      announcer.networkConnecting();
      announcer.clockSetting();
      announcer.extraArgumentsFetching();
      announcer.hostnameSetting();
      announcer.keymapSetting();
      announcer.pipelineStarted();
      announcer.hooksStarted("pipeline_start");
      announcer.hooksEnded();
      announcer.serviceStarted();
      passContainer(announcer);
      announcer.ended(0);
      announcer.cleanupStarted();
      announcer.cacheUnmounting();
      announcer.poweringOff();
    });
    const marks = [...text.matchAll(/\x1b\[0Ksection_(start|end):\d+:(\w+)(\[collapsed=true\])?\r\x1b\[0K/g)];
    const started = marks.filter(([, what]) => what === "start");
    expect(started.map(([, , id]) => id)).toEqual([
      "b2c_setup",
      "runtime_info",
      "load_modules",
      "mount_cache_partition",
      "connect",
      "ntp_set",
      "parse_extra_cmdline",
      "set_hostname",
      "set_keymap",
      "start_pipeline",
      "execute_hooks",
      "start_service_container",
      "create_container",
      "container_run",
      "b2c_post_container",
      "cleanup",
      "unmount_cache_partition",
    ]);
    expect(started.filter(([, , , fold]) => fold === undefined).map(([, , id]) => id)).toEqual([
      "container_run",
    ]);
    const open: string[] = ["b2c_kernel_boot"];
    for (const [, what, id] of marks) {
      if (what === "end") expect(open.pop()).toBe(id);
      else open.push(id!);
      expect(open.length).toBeLessThan(2);
    }
    expect(open).toEqual([]);
  });

  it("hide no error and no result", () => {
    const text = record((announcer) => {
      announcer.cacheMounting();
      announcer.failed("it broke");
      announcer.pipelineStarted();
      announcer.ended(1);
    });
    for (const words of ["it broke", "Execution is over"]) {
      const before = text.slice(0, text.indexOf(words));
      expect(before.lastIndexOf("section_end")).toBeGreaterThan(before.lastIndexOf("section_start"));
    }
    expect(text).toContain("\x1b[0;31m[12.35]: ERROR: it broke\x1b[0m\r\n");
  });
});

const TEXTS: { text: string; use: (announcer: Announcer) => void }[] = [
  { text: "About to start executing a container", use: (announcer) => announcer.containerStarted() },
  { text: "The container run successfully, load the next one!", use: passContainer },
  {
    text: "The container exited with error code 3, aborting the pipeline...",
    use: (announcer) => announcer.containerEnded(3, { continues: false }),
  },
  {
    text: "The container exited with error code 3, continuing...",
    use: (announcer) => announcer.containerEnded(3, { continues: true }),
  },
  {
    text: "Getting IP: SKIPPED (IP already set using ip=...)",
    use: (announcer) => announcer.networkConnected("kernel"),
  },
  {
    text: "Getting IP for network interface eth0: 10.42.0.2/16",
    use: (announcer) => announcer.networkConnected([{ name: "eth0", address: "10.42.0.2/16" }]),
  },
  {
    text: "Getting the time from the NTP server 10.42.0.1: DONE",
    use: (announcer) => announcer.clockSet("10.42.0.1"),
  },
  {
    text: "Getting the time from the NTP server 10.42.0.1: FAILED",
    use: (announcer) => announcer.clockSet("10.42.0.1", false),
  },
  {
    text: "Mounting the partition /dev/sda1 to /storage: DONE",
    use: (announcer) =>
      announcer.cacheMounted({ kind: "device", device: "/dev/sda1", target: "/storage", isMounted: true }),
  },
  {
    text: "Mounting the partition /dev/sda1 to /storage: FAILED",
    use: (announcer) =>
      announcer.cacheMounted({ kind: "device", device: "/dev/sda1", target: "/storage", isMounted: false }),
  },
  {
    text: "No disks founds, continue without a cache",
    use: (announcer) => announcer.cacheMounted({ kind: "no-disk" }),
  },
  { text: "Setting up volumes: DONE", use: (announcer) => announcer.volumesPrepared() },
  { text: "Linux version: 6.12.0", use: (announcer) => announcer.setupStarted(INFO) },
  { text: "Block devices: nvme0n1=476.9G", use: (announcer) => announcer.setupStarted(INFO) },
  { text: "RAM: 2035176 kB", use: (announcer) => announcer.setupStarted(INFO) },
];

describe("texts that people look for", () => {
  it.each(TEXTS)("$text", ({ text, use }) => {
    expect(record(use)).toContain(text);
  });
});

describe("jobs of other dialects", () => {
  it.each(["dut", "nfsroot"] as const)("%s prints none of it", (dialect) => {
    expect(record((announcer) => ENDINGS[0]!.use(announcer), dialect)).toBe("");
  });
});
