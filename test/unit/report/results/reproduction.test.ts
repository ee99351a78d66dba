import { expect, it } from "vitest";
import { readCommandLine } from "../../../../agent/job/read-job.ts";
import { formatReproductionLines, printReproduction } from "../../../../agent/report/results/reproduction.ts";

function format(line: string): string[] {
  const { job } = readCommandLine(line);
  return formatReproductionLines(line, job!);
}

it("one step", () => {
  expect(format('dut.image=registry.example/mesa:1 dut.run="ls -l /" dut.cache=auto console=ttyS0')).toEqual([
    "reproduce with podman: podman run --rm -it --privileged --network=host --entrypoint /bin/sh registry.example/mesa:1  # it ran: /bin/sh -c 'ls -l /'",
    "reproduce in QEMU: npx dutboot boot -- 'dut.image=registry.example/mesa:1 dut.run=\"ls -l /\"'",
  ]);
});

it("several steps by their numbers, without services", () => {
  const lines = format(
    'b2c.run_service="docker://a.example/telegraf" b2c.run="docker://a.example/check" b2c.run="-e TOKEN=hunter22 docker://a.example/test run"',
  );
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^reproduce step \d with podman: podman run .*a\.example\/check/);
  expect(lines[1]).toMatch(/^reproduce step \d with podman: podman run .*a\.example\/test/);
  expect(lines.join("\n")).not.toContain("hunter22");
});

it("does not fail a job for which it cannot make a line", () => {
  const told: string[] = [];
  const tell = (line: string) => void told.push(line);
  const broken = { steps: [{ kind: "main" }] } as never;
  printReproduction({ line: "", job: broken, log: { info: tell, warn: tell } });
  expect(told).toHaveLength(1);
});
