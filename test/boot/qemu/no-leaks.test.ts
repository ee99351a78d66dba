/** No process outlives its run, however the run or its owner ends. Parallel runs are independent (C61). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { whenConsoleSays } from "../console-says.ts";
import { locateTestKernel } from "./test-kernel.ts";
import { createTinyGuest, type TinyGuest } from "./tiny-guest.ts";

const FOREVER = "while :; do echo still here; sleep 1; done\n";

let guest: TinyGuest;
beforeAll(async () => {
  guest = await createTinyGuest(await locateTestKernel());
});
afterAll(() => guest.remove());

/** Finds processes by their command line; QEMU's contains its run directory. */
async function findProcesses(text: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "")),
  );
  return commands.filter((command) => command.includes("qemu-system") && command.includes(text));
}

async function waitUntil(isDone: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  for (const endMs = performance.now() + timeoutMs; performance.now() < endMs; await sleep(50)) {
    if (await isDone()) return true;
  }
  return false;
}

describe("a run", () => {
  it("does not interfere with other runs of the same moment", async () => {
    const fail = (exitCode: number) =>
      `echo '${JSON.stringify({ v: 1, seq: 0, uptimeMs: 1, event: "end", peakRssBytes: 0, verdict: { version: 1, bootId: "00000001", verdict: "fail", exitCode, phases: [] } })}' > $port\npoweroff -f\n`;
    const codes = [11, 22, 33];
    const results = await Promise.all(codes.map((exitCode) => guest.boot(fail(exitCode))));
    expect(results.map(({ exitCode }) => exitCode)).toEqual(codes);
    expect(new Set(results.map(({ consolePath }) => consolePath)).size).toBe(codes.length);
  });

  it("leaves no process when the caller stops it", async () => {
    const stop = new AbortController();
    const result = await guest.boot(FOREVER, {
      signal: stop.signal,
      onConsole: whenConsoleSays("still here", () => stop.abort()),
    });
    expect(result).toMatchObject({ outcome: "stopped", exitCode: 130 });
    expect(await findProcesses(guest.folder)).toEqual([]);
  });

  it("does not start if it was stopped before", async () => {
    expect(await guest.boot(FOREVER, { signal: AbortSignal.abort() })).toMatchObject({ outcome: "stopped" });
  });

  it.for(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "leaves no process when its owner gets %s",
    async (signal) => {
      const kernel = await locateTestKernel();
      const owner = spawn(process.execPath, [join(import.meta.dirname, "boot-forever.ts"), kernel], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let folder = "";
      owner.stdout.on("data", (chunk: Buffer) => {
        folder += chunk.toString();
      });
      expect(
        await waitUntil(
          async () => folder.endsWith("\n") && (await findProcesses(folder.trim())).length > 0,
          30_000,
        ),
      ).toBe(true);
      owner.kill(signal);
      const [exitCode, endSignal] = await once(owner, "exit");
      expect(exitCode ?? endSignal).toBe(signal === "SIGKILL" ? "SIGKILL" : 130);
      expect(await waitUntil(async () => (await findProcesses(folder.trim())).length === 0, 5_000)).toBe(
        true,
      );
    },
  );
});
