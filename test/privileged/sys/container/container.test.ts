/**
 * Containers by trixie's crun on the running kernel: exit codes, signals, users, deadlines, strays.
 * The memory limit needs a kernel with cgroup v2's controller and is shown in test/boot.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type ContainerHost, prepareContainerHost, type RunContainer } from "../container-host.ts";

let host: ContainerHost;
beforeAll(async () => {
  host = await prepareContainerHost();
});
afterAll(() => host.remove());

const run: RunContainer = (command, wishes) => host.run(command, wishes);

describe("the exit code is the test's", () => {
  test.each([
    ["exit 0", 0],
    ["exit 3", 3],
    ["exit 255", 255],
    ["nosuchcommand", 127],
    ["/etc/passwd", 126],
    // PID 1 of a namespace ignores signals it has no handler for, so the shell's child is what dies.
    ["sh -c 'kill -9 $$'; exit $?", 137],
    ["sh -c 'kill -SEGV $$'; exit $?", 139],
  ])("%s", async (command, exitCode) => {
    expect((await run(command)).exit).toEqual({
      exitCode,
      endedBy: "exit",
      oomKilled: false,
      timedOut: false,
    });
  });

  test("the image's entrypoint and command run by default", async () => {
    expect(await run(undefined)).toMatchObject({ output: "from the image\n", exit: { exitCode: 0 } });
  });
});

describe("the test has", () => {
  test("one output stream, in order, that can be reopened by name", async () => {
    const { output } = await run("echo 1; echo 2 >&2; echo 3 >/dev/stderr; echo 4 >/dev/stdout; echo 5");
    expect(output).toBe("1\n2\n3\n4\n5\n");
  });

  test("another user with its groups, who can reopen the output stream", async () => {
    const { output } = await run("id; echo named >/dev/stderr; echo $HOME", { user: "tester" });
    expect(output).toBe("uid=1000(tester) gid=1001 groups=44(video)\nnamed\n/home/tester\n");
  });

  test("environment variables, and a working directory that is not in the image", async () => {
    const { output } = await run("echo $WHO $IMAGE; pwd", { workingDir: "/srv/here" });
    expect(output).toBe("job 1\n/srv/here\n");
  });

  test("the host's network, a separate process namespace, and the machine's devices", async () => {
    const { output } = await run(
      "readlink /proc/self/ns/net; echo $$; ls -l /dev/null | head -c 1; test -c /dev/ptmx && echo tty",
    );
    const lines = output.split("\n");
    expect(lines).toEqual([readlinkSync("/proc/self/ns/net"), "1", "ctty", ""]);
  });

  test("mounts that are not visible on the host", async () => {
    expect((await run("mount -t tmpfs none /tmp && touch /tmp/x && echo ok")).output).toBe("ok\n");
    expect(readFileSync("/proc/mounts", "utf8")).not.toContain(host.rootPath);
  });

  test("files in /results that are in the results folder", async () => {
    await run("echo 17 fps >/results/fps.txt");
    expect(readFileSync(join(host.resultsPath, "fps.txt"), "utf8")).toBe("17 fps\n");
  });

  test("a megabyte of output that is complete", async () => {
    const { output } = await run("head -c 1000000 /dev/zero");
    expect(output).toHaveLength(1_000_000);
  });
});

describe("errors before the test starts", () => {
  test.each([
    ["a missing program", ["nosuch"], "RUN_COMMAND_NOT_FOUND"],
    ["a missing path", ["/no/such"], "RUN_COMMAND_NOT_FOUND"],
    ["a file that is not a program", ["/etc/passwd"], "RUN_COMMAND_NOT_FOUND"],
    ["a directory", ["/etc"], "RUN_COMMAND_NOT_FOUND"],
    ["a program of another architecture", ["/bin/other-machine"], "RUN_COMMAND_NOT_FOUND"],
  ])("%s", async (_name, argv, error) => {
    expect((await run(argv)).error).toBe(error);
  });

  test("are not detected in the test's output", async () => {
    const words = '{"msg":"exec container process `x`: Exec format error","level":"error"}';
    expect((await run(`echo started; echo '${words}'; exit 1`)).exit?.exitCode).toBe(1);
  });

  test("an unknown user", async () => {
    expect((await run("true", { user: "ghost" })).error).toBe("IMAGE_UNKNOWN_USER");
  });

  test("a missing root", async () => {
    const { error } = await run("true", { rootPath: "/nosuch" });
    expect(error).toBeDefined();
  });
});

describe("a container always ends", () => {
  test("after a test that handles SIGTERM has written its last output", async () => {
    const result = await run("trap 'echo last words; exit 0' TERM; while true; do sleep 0.1; done", {
      abortAfterMs: 700,
    });
    expect(result).toMatchObject({ error: "TimeoutError", output: expect.stringContaining("last words") });
    expect(result.logs.join()).not.toContain("killing all");
  });

  test("if a test ignores SIGTERM and keeps forking: all its processes are killed", async () => {
    const marker = `stray-${process.pid}`;
    const command = `trap '' TERM; while true; do setsid sh -c 'sleep 1000; : ${marker}' & sleep 0.02; done`;
    const running = run(command, { abortAfterMs: 5000 });
    await vi.waitFor(() => expect(countProcesses(marker)).toBeGreaterThan(3), 4900);
    const result = await running;
    expect(result.error).toBe("TimeoutError");
    expect(result.tookMs).toBeLessThan(12_000);
    expect(countProcesses(marker)).toBe(0);
  });

  test("with the background processes of the test", async () => {
    const result = await run("setsid sleep 1000 & exit 5");
    expect(result.exit?.exitCode).toBe(5);
    expect(result.tookMs).toBeLessThan(5000);
  });

  test("without a start if it is aborted first", async () => {
    const result = await run("echo started", { abortAfterMs: 0 });
    expect(result.error).toBe("TimeoutError");
  });
});

/** Of the whole machine, by a word of their command line; ours has it not. */
function countProcesses(marker: string): number {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readIfThere(`/proc/${pid}/cmdline`).includes(marker)).length;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it has just ended
  }
}
