/**
 * A root's own init as the first process of a container: busybox's, and systemd where the tools root brings it.
 * Not privileged here: it must not set up the machine that the tests run on.
 */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mount, umount } from "../../../agent/kernel/syscalls.ts";
import { type ContainerHost, prepareContainerHost } from "./container-host.ts";

let host: ContainerHost;
beforeAll(async () => {
  host = await prepareContainerHost();
});
afterAll(() => host.remove());

const addedCapabilities = ["SYS_BOOT", "SYS_ADMIN"];
const settings = { isPrivileged: false, addedCapabilities };

describe("busybox", () => {
  const start = (script: string, abortAfterMs?: number) => {
    writeFileSync(
      join(host.rootPath, "etc/inittab"),
      "::sysinit:/bin/sh /etc/start\n::shutdown:/bin/echo going down\n",
    );
    writeFileSync(join(host.rootPath, "etc/start"), script);
    return host.run(["/bin/init"], {
      step: { isInit: true },
      settings,
      abortAfterMs,
    });
  };

  test("runs as process 1, with a terminal and writable directories", async () => {
    const { output, exit } = await start(
      'basename $(readlink /proc/1/exe); test -t 1 && echo tty; for place in /run /run/lock /tmp; do grep -c " $place tmpfs" /proc/mounts; done; ' +
        "echo $container; mkdir /sys/fs/cgroup/own && echo cgroup; poweroff",
    );
    expect(output).toMatch(/^busybox\r\ntty\r\n1\r\n1\r\n1\r\noci\r\ncgroup\r\n/);
    expect(output).toContain("going down");
    expect(exit).toMatchObject({ exitCode: 0, endedBy: "poweroff" });
  });

  test("a reboot is distinguished from a power-off", async () => {
    expect((await start("reboot")).exit).toMatchObject({ exitCode: 129, endedBy: "reboot" });
  });

  test("receives its stop signal", async () => {
    const { error, output, logs } = await start("echo up", 1500);
    expect(error).toBe("TimeoutError");
    expect(output).toContain("going down");
    expect(logs.join()).toContain("stopping the test");
  });
});

describe("systemd", () => {
  let rootPath: string;
  beforeAll(() => {
    const scratch = join(host.directory, "systemd");
    rootPath = join(scratch, "root");
    for (const name of ["upper", "work", "root"]) mkdirSync(join(scratch, name), { recursive: true });
    mount({ source: "tmpfs", target: scratch, type: "tmpfs" });
    for (const name of ["upper/etc/systemd/system", "work", "root"])
      mkdirSync(join(scratch, name), { recursive: true });
    mount({
      source: "overlay",
      target: rootPath,
      type: "overlay",
      data: `lowerdir=${host.toolsPath},upperdir=${scratch}/upper,workdir=${scratch}/work`,
    });
    rmSync(join(rootPath, "sbin/init"), { force: true });
    symlinkSync("/usr/lib/systemd/systemd", join(rootPath, "usr/sbin/init"));
  });
  afterAll(() => {
    umount(rootPath);
    umount(join(host.directory, "systemd"));
  });

  const start = (command: string, abortAfterMs?: number) => {
    const unit = `[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nBefore=shutdown.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\nStandardOutput=tty\nTTYPath=/dev/console\nExecStart=/bin/sh -c '${command}'\nExecStop=/bin/echo stopped well\n`;
    writeFileSync(join(rootPath, "etc/systemd/system/job.service"), unit);
    return host.run(["/usr/sbin/init", "systemd.unit=job.service"], {
      rootPath,
      step: { isInit: true },
      settings,
      ...(abortAfterMs !== undefined && { abortAfterMs, options: { graceMs: 8000 } }),
    });
  };

  test("runs a unit in its own cgroup and powers off", async () => {
    const { output, exit } = await start(
      "cat /proc/self/cgroup; echo is $(systemd-detect-virt -c); systemctl poweroff --no-block",
    );
    expect(output).toContain("job.service");
    expect(output).toMatch(/is (oci|container-other)/);
    expect(exit).toMatchObject({ exitCode: 0, endedBy: "poweroff" });
  });

  test("passes on an exit code", async () => {
    const { exit } = await start("systemctl exit 7 --no-block");
    expect(exit).toMatchObject({ exitCode: 7, endedBy: "exit" });
  });

  test("stops its units on its stop signal", async () => {
    const { error, output, logs } = await start("echo up", 4000);
    expect(error).toBe("TimeoutError");
    expect(output).toContain("stopped well");
    expect(logs.join()).not.toContain("killed now");
  });
});
