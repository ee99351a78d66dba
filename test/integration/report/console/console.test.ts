import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it } from "vitest";
import { ConsoleSet } from "../../../../agent/report/console/console.ts";
import { openConsole } from "../../../../agent/report/console/device.ts";
import { awaitSerialConsole } from "../../../../agent/report/console/serial-console.ts";
import { openPseudoTerminal, type PseudoTerminal } from "../../../servers/pseudo-terminal.ts";

const opened: PseudoTerminal[] = [];
const folder = mkdtempSync(join(tmpdir(), "dutboot-console-"));

afterEach(() => {
  for (const terminal of opened.splice(0)) terminal.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

function open(options: Parameters<typeof openPseudoTerminal>[0] = {}): PseudoTerminal {
  const terminal = openPseudoTerminal(options);
  opened.push(terminal);
  return terminal;
}

const LINES = 300_000;
const RESULT_EVERY = 50_000;
/** A test that prints as fast as it can, a result now and then. */
const FLOOD = `BEGIN { for (i = 1; i <= ${LINES}; i++) { print "line " i; if (i % ${RESULT_EVERY} == 0) print "hwci: mesa: result " i } }`;

it("shows a flood's first, last and matched lines on a slow line, counts the others, and then shows the verdict", async () => {
  const rate = 100_000;
  const terminal = open({ bytesPerSecond: rate });
  const consoles = new ConsoleSet([openConsole(terminal.path)], { readUptimeMs: () => 1000, queueMs: 200 });
  expect(consoles.setRate(terminal.name, rate)).toBe(true);
  const child = spawn("awk", [FLOOD], { stdio: ["ignore", "pipe", "inherit"] });
  child.stdout.on("data", (chunk: Buffer) => consoles.output(chunk));
  await once(child, "close");
  consoles.endOutput();
  consoles.line("dutboot: verdict: pass exit_code=0");
  await consoles.flush();
  await expect.poll(() => terminal.text, { timeout: 10_000 }).toMatch(/verdict: pass exit_code=0\r\n$/);

  const lines = terminal.text.split("\r\n");
  expect(lines.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, at) => `line ${at + 1}`));
  const results = lines.filter((line) => line.startsWith("hwci:"));
  expect(results).toEqual(
    Array.from({ length: LINES / RESULT_EVERY }, (_, at) => `hwci: mesa: result ${(at + 1) * RESULT_EVERY}`),
  );
  // Whatever is left out is counted where it is missing.
  let number = 0;
  for (const line of lines.slice(0, -2)) {
    const note =
      /^\[ {4}1\.000\] dutboot: … ([\d,]+) lines? not shown; the full log is in the results …$/.exec(line);
    if (note) number += Number(note[1]!.replaceAll(",", ""));
    else if (line.startsWith("line ")) expect(line).toBe(`line ${++number}`);
    else expect(line).toMatch(/^hwci: /);
  }
  expect(number).toBe(LINES);
  expect(lines.slice(-4)).toEqual([
    `line ${LINES}`,
    `hwci: mesa: result ${LINES}`,
    "dutboot: verdict: pass exit_code=0",
    "",
  ]);
}, 60_000);

it("does not wait for a console without a reader or one that hangs up", async () => {
  const stuck = open({ bytesPerSecond: 0.001 });
  const lost = openPseudoTerminal();
  const fine = open();
  const gone: string[] = [];
  const consoles = new ConsoleSet(
    [stuck, lost, fine].map(({ path }) => openConsole(path)),
    { readUptimeMs: () => 0, stuckMs: 200, onGone: (name) => gone.push(name) },
  );
  consoles.output(Buffer.from("first\n"));
  await expect.poll(() => lost.text).toBe("first\r\n");
  lost.close();
  consoles.output(Buffer.from("a line of some length\n".repeat(5000)));
  consoles.line("verdict");
  await consoles.flush();
  await expect.poll(() => fine.text).toMatch(/verdict\r\n$/);
  expect(gone).toEqual([lost.name]);
});

it("writes to a serial port that appears late, and notices when it disconnects", async () => {
  const terminal = openPseudoTerminal();
  const gone: string[] = [];
  const consoles = new ConsoleSet([], { readUptimeMs: () => 0, onGone: (name) => gone.push(name) });
  consoles.line("before it was there");
  const waiting = awaitSerialConsole("ttyLATE", { baudRate: 115_200, folder, lookMs: 10 });
  setTimeout(() => symlinkSync(terminal.path, join(folder, "ttyLATE")), 50);
  const device = await waiting;
  expect(device).toMatchObject({ name: "ttyLATE", bytesPerSecond: 11_520 });
  consoles.add(device!);
  consoles.output(Buffer.from("and now\n"));
  await consoles.flush();
  await expect.poll(() => terminal.text).toBe("before it was there\r\nand now\r\n");
  terminal.close();
  consoles.line("nobody hears this");
  await expect.poll(() => gone).toEqual(["ttyLATE"]);
  await device!.lost;
});

it("stops waiting for a port that never appears", async () => {
  expect(
    await awaitSerialConsole("ttyNEVER", { baudRate: 9600, folder, waitMs: 30, lookMs: 10 }),
  ).toBeUndefined();
});
