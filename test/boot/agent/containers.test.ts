/**
 * Tests that need cgroup v2 controllers: limits of a container, and one of several containers that runs out of memory.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createFarmGuest, describeRun, type FarmGuest } from "./farm-guest.ts";

let guest: FarmGuest;
beforeAll(async () => {
  guest = await createFarmGuest();
});
afterAll(() => guest?.stop());

it("limits each container; one that runs out of memory does not affect the others", {
  timeout: 600_000,
}, async () => {
  const image = "{registry}/test/busybox@{digest}";
  const run = await guest.boot(
    [
      `dut.service="${image} sh -c 'while sleep 1; do echo alive >>/results/service; done'"`,
      `dut.step="-t --init --memory 32m --cpus 0.5 --pids-limit 30 ${image} sh -c ` +
        `'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max >/results/limits; ps -o pid,args >/results/processes'"`,
      `dut.step="--memory 16m ${image} sh -c 'head -c 64m /dev/zero | ` +
        // The kernel must not choose the shell, which has the step's exit code.
        `(echo 1000 >/proc/self/oom_score_adj; exec tail) >/dev/null; sleep 2; exit 3'"`,
      `dut.post="${image} sh -c 'wc -l </results/service >/results/lives'"`,
      "dut.timeout=5m dut.end",
    ].join(" "),
  );
  expect(run.verdict, describeRun(run)).toMatchObject({
    verdict: "error",
    exitCode: 3,
    error: { code: "TEST_OUT_OF_MEMORY", blame: "test" },
  });
  expect(run.results.get("limits"), describeRun(run)).toBe("33554432\n50000 100000\n30\n");
  expect(run.results.get("processes")).toMatch(/^\s+1 \S*podman-init -- sh -c/m);
  expect(run.console).toContain("because memory ran out");
  expect(Number(run.results.get("lives"))).toBeGreaterThan(2);
});
