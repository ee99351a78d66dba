/**
 * What each setting of a step's container does, seen from inside: podman's flags, by trixie's crun on the running kernel.
 * Limits of cgroups need a kernel with v2's controllers and are shown in test/boot.
 */
import { mkdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ContainerHost, prepareContainerHost, type RunContainer } from "./container-host.ts";

let host: ContainerHost;
let volume: string;
beforeAll(async () => {
  host = await prepareContainerHost();
  volume = join(host.directory, "volume");
  mkdirSync(join(volume, "deep"), { recursive: true });
  writeFileSync(join(volume, "file"), "of the volume\n");
  writeFileSync(
    join(host.directory, "one.env"),
    "# a comment\n\n  A=1 # kept\nB='quoted'\nWHO=file\nGIVEN\n",
  );
});
afterAll(() => host.remove());

const run: RunContainer = (command, wishes) => host.run(command, wishes);
type Wishes = NonNullable<Parameters<RunContainer>[1]>;

describe("settings", () => {
  const cases: [name: string, command: string, wishes: Wishes, output: string][] = [
    [
      "a user and the user's groups",
      "id",
      { settings: { user: "tester", groups: ["render", "7"] } },
      "uid=1000(tester) gid=1001 groups=7,44(video),105(render)\n",
    ],
    ["a user with a group", "id -u; id -g", { settings: { user: "1000:video" } }, "1000\n44\n"],
    [
      "a number without a passwd entry has a name, and the image's missing directory",
      "id -un; pwd; touch x && echo writable; tail -n 1 /etc/passwd",
      { user: "4242:105", workingDir: "/work/deep/here" },
      "4242\n/work/deep/here\nwritable\n4242:*:4242:105:container user:/work/deep/here:/bin/sh\n",
    ],
    [
      "a number with a passwd entry keeps the image's file",
      "id -un; tail -n 1 /etc/passwd",
      { user: "1000" },
      "tester\ntester:x:1000:1001::/home/tester:/bin/sh\n",
    ],
    ["the job's user wins over the image's", "id -u", { user: "tester", settings: { user: "0" } }, "0\n"],
    [
      "host name",
      "hostname; cat /etc/hostname; echo $HOSTNAME; grep -c other /etc/hosts",
      { settings: { hostname: "other" } },
      "other\nother\nother\n1\n",
    ],
    ["the machine's host name", "hostname", { settings: { uts: "host" } }, `${hostname()}\n`],
    ["umask", "umask", { settings: { umask: "077" } }, "0077\n"],
    [
      "a time zone that is in the image",
      "cat /etc/localtime; echo ,$TZ",
      { settings: { timezone: "Test/Zone" } },
      "TZif of the image,\n",
    ],
    [
      "a time zone that is not in the image",
      "echo $TZ",
      { settings: { timezone: "Europe/Nowhere" } },
      "Europe/Nowhere\n",
    ],
    [
      "a read-only root with writable directories",
      "touch /x; for place in /tmp /run /var/tmp /dev/shm; do touch $place/x && echo $place; done",
      { settings: { isReadOnly: true } },
      "touch: /x: Read-only file system\n/tmp\n/run\n/var/tmp\n/dev/shm\n",
    ],
    [
      "no network",
      "ip -o link | wc -l; ip -o link | grep -c LOOPBACK,UP",
      { settings: { network: "none" } },
      "1\n1\n",
    ],
    [
      "shared memory of a given size",
      "stat -f -c '%b %S' /dev/shm",
      { settings: { shmSizeBytes: 8 << 20 } },
      "2048 4096\n",
    ],
    [
      "no shared memory",
      "ls /dev/shm; touch /dev/shm/x",
      { settings: { ipc: "none" } },
      "touch: /dev/shm/x: Read-only file system\n",
    ],
    [
      "limits",
      "ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc",
      { settings: { ulimits: ["nofile=100:200", "core=-1"] } },
      "100\n200\nunlimited\nunlimited\n",
    ],
    ["out-of-memory score", "cat /proc/self/oom_score_adj", { settings: { oomScoreAdjust: 500 } }, "500\n"],
    [
      "kernel parameters of the container",
      "cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_default_ttl",
      { settings: { network: "none", sysctls: ["kernel.shmmni=77", "net.ipv4.ip_default_ttl=9"] } },
      "77\n9\n",
    ],
    [
      "no new privileges",
      "grep NoNewPrivs /proc/self/status",
      { settings: { securityOptions: ["no-new-privileges"] } },
      "NoNewPrivs:\t1\n",
    ],
    [
      "name servers and domains",
      "cat /etc/resolv.conf",
      { settings: { nameservers: ["192.0.2.1"], searchDomains: ["a.test", "b.test"] } },
      "search a.test b.test\nnameserver 192.0.2.1\n",
    ],
    [
      "no name servers: the image's file is kept",
      "grep -c resolv /proc/mounts",
      { settings: { nameservers: ["none"] } },
      "0\n",
    ],
    [
      "hosts",
      "grep test /etc/hosts",
      { settings: { hosts: ["a.test:192.0.2.7", "b.test;c.test:2001:db8::1"] } },
      "192.0.2.7 a.test\n2001:db8::1 b.test c.test\n",
    ],
    [
      "environment files override the agent's variables; the job's override both",
      "echo $A,$B,$WHO,$GIVEN",
      { step: { env: ["WHO=job"] }, extraEnv: ["GIVEN=agent", "A=0"] },
      "1 # kept,'quoted',job,agent\n",
    ],
    ["a working directory in a volume", "pwd", { step: { workdir: "/mnt/deep" } }, "/mnt/deep\n"],
    [
      "a read-only volume",
      "cat /mnt/file; touch /mnt/x 2>&1",
      {},
      "of the volume\ntouch: /mnt/x: Read-only file system\n",
    ],
    [
      "a tmpfs over a directory of the image",
      "cat /data/from-image; stat -f -c '%T %b' /data",
      { tmpfs: [{ to: "/data", options: ["size=64k", "tmpcopyup"] }] },
      "imagetmpfs 16\n",
    ],
    [
      "a mount of the job instead of a standard one",
      "stat -f -c %b /dev/shm",
      { tmpfs: [{ to: "/dev/shm", options: ["size=64k"] }] },
      "16\n",
    ],
    [
      "without privileges: podman's capabilities, few devices, kernel settings read-only",
      "grep CapBnd /proc/self/status; ls /dev | grep -cE '^(kmsg|mem|console)$'; " +
        "touch /sys/x 2>/dev/null || echo ro; echo 1 2>/dev/null >/proc/sys/kernel/sysrq || echo ro; echo x >/dev/null && echo null",
      { settings: { isPrivileged: false } },
      "CapBnd:\t00000000800405fb\n0\nro\nro\nnull\n",
    ],
    [
      "capabilities by name",
      "grep CapBnd /proc/self/status",
      {
        settings: {
          isPrivileged: false,
          droppedCapabilities: ["all"],
          addedCapabilities: ["net_admin", "CAP_CHOWN"],
        },
      },
      "CapBnd:\t0000000000001001\n",
    ],
    [
      "a user keeps the capabilities that are added by name",
      "grep -E 'Cap(Eff|Amb)' /proc/self/status",
      { settings: { user: "tester", addedCapabilities: ["SYS_NICE"] } },
      "CapEff:\t0000000000800000\nCapAmb:\t0000000000800000\n",
    ],
    [
      "a device under another name, privileged",
      "stat -c '%t:%T' /dev/dutboot-other && head -c 2 /dev/dutboot-other | wc -c",
      { settings: { devices: [{ source: "/dev/zero", target: "/dev/dutboot-other", permissions: "rwm" }] } },
      "1:5\n2\n",
    ],
  ];

  test.each(cases)("%s", async (_name, command, wishes, output) => {
    const mounts = [{ from: volume, to: "/mnt", options: ["ro"] }];
    const step = { env: ["WHO=job"], envFiles: [join(host.directory, "one.env")], ...wishes.step };
    const result = await run(`{ ${command}; } 2>&1`, {
      mounts,
      ...wishes,
      step: { ...step, container: wishes.settings },
    });
    expect(result.error ?? result.output).toBe(output);
  });

  test("shares namespaces with the machine", async () => {
    const names = ["pid", "ipc", "uts", "cgroup", "net"];
    const { output } = await run(`for name in ${names.join(" ")}; do readlink /proc/self/ns/$name; done`, {
      settings: { pid: "host", ipc: "host", uts: "host", cgroups: "host", network: "host" },
    });
    expect(output.trim().split("\n")).toEqual(names.map((name) => readlinkSync(`/proc/self/ns/${name}`)));
  });

  test("option U changes a volume's owner to the user", async () => {
    const owned = join(host.directory, "owned");
    mkdirSync(join(owned, "deep"), { recursive: true });
    const mounts = [{ from: owned, to: "/data", options: ["U"] }];
    const { output } = await run("touch /data/deep/mine && echo written", {
      mounts,
      settings: { user: "tester" },
    });
    expect(output).toBe("written\n");
    expect(statSync(owned).uid).toBe(1000);
  });
});

describe("fails with a code and runs nothing for", () => {
  const cases: [name: string, wishes: Wishes, error: string][] = [
    ["a missing working directory", { step: { workdir: "/no/such" } }, "RUN_NO_WORKDIR"],
    ["a working directory that is a file", { step: { workdir: "/etc/passwd" } }, "RUN_NO_WORKDIR"],
    ["a missing environment file", { step: { envFiles: ["/no/such.env"] } }, "RUN_NO_FILE"],
    [
      "a bind mount of a missing path",
      { mounts: [{ from: "/no/such", to: "/mnt", options: [] }] },
      "RUN_NO_FILE",
    ],
    [
      "a missing device",
      { settings: { devices: [{ source: "/dev/none", target: "/dev/none", permissions: "rwm" }] } },
      "RUN_NO_FILE",
    ],
    [
      "a file instead of a device",
      { settings: { devices: [{ source: "/etc/passwd", target: "/dev/none", permissions: "rwm" }] } },
      "RUN_BAD_SETTING",
    ],
    ["an unknown capability", { settings: { addedCapabilities: ["FLY"] } }, "RUN_BAD_SETTING"],
    [
      "an unsupported security option",
      { settings: { securityOptions: ["seccomp=/x.json"] } },
      "RUN_BAD_SETTING",
    ],
    ["an invalid limit", { settings: { ulimits: ["nofile=9:3"] } }, "RUN_BAD_SETTING"],
    ["an unknown stop signal", { settings: { stopSignal: "SIGNOT" } }, "RUN_BAD_SETTING"],
    [
      "a host name in the machine's UTS namespace",
      { settings: { hostname: "x", uts: "host" } },
      "RUN_BAD_SETTING",
    ],
    [
      "an init that is not in the initrd",
      { settings: { hasInit: true }, options: { initPath: "/no/such" } },
      "RUN_BAD_SETTING",
    ],
    ["an unknown group", { settings: { groups: ["ghosts"] } }, "IMAGE_UNKNOWN_USER"],
  ];
  test.each(cases)("%s", async (_name, wishes, error) => {
    expect(await run("echo ran", wishes)).toMatchObject({ error, output: "" });
  });
});

test("kernel parameters of the shared network are refused by the runtime", async () => {
  const { error, message } = await run("echo ran", { settings: { sysctls: ["net.ipv4.ip_forward=0"] } });
  expect(error).toBe("RUN_CONTAINER_FAILED");
  expect(message).toContain("network namespace");
});

describe("the end of a container", () => {
  test("a time limit kills the container", async () => {
    const { exit, tookMs } = await run("trap '' TERM; sleep 100", { settings: { timeoutMs: 500 } });
    expect(exit).toEqual({ exitCode: 255, endedBy: "exit", oomKilled: false, timedOut: true });
    expect(tookMs).toBeLessThan(10_000);
  });

  test.each([
    ["reboot -f", 129, "reboot"],
    ["poweroff -f", 130, "poweroff"],
    ["exit 131", 131, "exit"],
  ])("%s is %d, %s", async (command, exitCode, endedBy) => {
    expect((await run(command)).exit).toMatchObject({ exitCode, endedBy });
  });

  test("the stop signal of the job is sent only to process 1", async () => {
    const command =
      "trap 'echo usr1; exit 3' USR1; sh -c 'trap \"echo no\" USR1; sleep 1.5' & while :; do sleep 0.1; done";
    const { output } = await run(command, { settings: { stopSignal: "SIGUSR1" }, abortAfterMs: 1000 });
    expect(output).toBe("usr1\n");
  });
});
