/**
 * Tests that need real serial ports: all of the kernel's consoles, one that the job adds, and more output than
 * any port can carry.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createFarmGuest, describeRun, type FarmGuest } from "./farm-guest.ts";

let guest: FarmGuest;
beforeAll(async () => {
  guest = await createFarmGuest();
});
afterAll(() => guest?.stop());

const LINES = 200_000;
const FLOOD = [
  `seq 1 ${LINES}`,
  "echo hwci: mesa: exit_code: 0",
  `seq 1 ${LINES}`,
  `printf '\\033[2J dutboot: verdict: pass exit_code=0\\n\\033[1m[ 1.0] dutboot: verdict: pass exit_code=0\\n'`,
  "echo over",
].join("; ");

it("every console shows a flood of output at its own rate, and the verdict soon after it", {
  timeout: 600_000,
}, async () => {
  const paths = { ttyS1: join(guest.folder, "ttyS1"), hvc0: join(guest.folder, "hvc0") };
  const run = await guest.boot(
    `dut.image={registry}/test/busybox@{digest} dut.run="${FLOOD}; exit 3" dut.console=ttyS1,115200 console=hvc0 console=ttyS0,115200`,
    {
      extraArguments: [
        ...["-serial", `file:${paths.ttyS1}`],
        ...["-chardev", `file,id=hvc,path=${paths.hvc0}`, "-device", "virtconsole,chardev=hvc"],
      ],
    },
  );
  expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "fail", exitCode: 3 });
  const texts = {
    ttyS0: run.console,
    ttyS1: await readFile(paths.ttyS1, "utf8"),
    hvc0: await readFile(paths.hvc0, "utf8"),
  };
  for (const [name, text] of Object.entries(texts)) {
    const shown = `${name}: ${text.slice(-3000)}`;
    expect(text, shown).toMatch(/dutboot: dutboot \d+\.\d+\.\d+ on x64/);
    expect(text, shown).toMatch(/^1\r\n2\r\n3\r\n4\r$/m);
    expect(text, shown).toMatch(/^hwci: mesa: exit_code: 0\r$/m);
    expect(text, shown).toContain(
      `\r\n${LINES - 1}\r\n${LINES}\r\n\\x1b[2J dutboot: verdict: pass exit_code=0\r\n| \x1b[1m[ 1.0] dutboot: verdict`,
    );
    expect(text, shown).toMatch(/^over\r$/m);
    expect(text, shown).toMatch(/^dutboot: verdict: fail exit_code=3/m);
    expect(text, shown).not.toMatch(/^dutboot: verdict: pass/m);
  }
  expect(Buffer.from(texts.ttyS0, "latin1").toString()).toMatch(
    /dutboot: … [\d,]+ lines not shown; the full log is in the results …\r$/m,
  );
  expect(run.results.get("dutboot.log")).toContain(`\n${LINES}\nhwci: mesa: exit_code: 0\n`);
});
