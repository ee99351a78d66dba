import { describe, expect, it } from "vitest";
import { type ConsoleOptions, ConsoleSet } from "../../../../agent/report/console/console.ts";
import type { ConsoleDevice } from "../../../../agent/report/console/device.ts";

interface Recorder extends ConsoleDevice {
  /** One string a write. */
  readonly writes: string[];
  readonly text: string;
  /** Takes nothing until it is called. */
  go(): void;
}

/** A console in memory; `holds`: it takes nothing before it is told to. */
function createRecorder({ name = "test", bytesPerSecond = 0, holds = false } = {}): Recorder {
  const writes: Buffer[] = [];
  let isHeld = holds;
  let waiting: (() => void) | undefined;
  return {
    name,
    ...(bytesPerSecond > 0 && { bytesPerSecond }),
    get writes() {
      return writes.map((bytes) => bytes.toString());
    },
    get text() {
      return Buffer.concat(writes).toString();
    },
    write(bytes, done) {
      const take = () => {
        writes.push(Buffer.from(bytes));
        done();
      };
      if (isHeld) waiting = take;
      else setImmediate(take);
    },
    go() {
      isHeld = false;
      waiting?.();
    },
    drain: () => Promise.resolve(),
    close: () => {},
  };
}

async function record(
  use: (console: ConsoleSet, device: Recorder) => void | Promise<void>,
  { device = createRecorder(), ...options }: Partial<ConsoleOptions> & { device?: Recorder } = {},
): Promise<string> {
  const target = new ConsoleSet([device], { readUptimeMs: () => 12_345, ...options });
  await use(target, device);
  device.go();
  await target.flush();
  return device.text;
}

const NOTE = /^\[ {3}12\.345\] dutboot: … ([\d,]+) lines? not shown; the full log is in the results …$/;

/** The least that may wait, two KiB, for a hundredth of a second. */
const SLOW = { bytesPerSecond: 200_000, holds: true };
const QUEUE_MS = 10;

describe("console", () => {
  it("keeps the agent's lines and the test's output in order", async () => {
    const text = await record((console) => {
      console.line("one");
      console.output(Buffer.from("two\n"));
      console.line("three");
    });
    expect(text).toBe("one\ntwo\nthree\n");
  });

  it("writes each line with one write on a console with a rate", async () => {
    const device = createRecorder({ bytesPerSecond: 500_000 });
    await record(
      (console) => {
        console.output(Buffer.from("one\ntw"));
        console.output(Buffer.from("o\nthree\n"));
        console.line("four");
      },
      { device },
    );
    expect(device.writes).toEqual(["one\n", "two\n", "three\n", "four\n"]);
  });

  it("writes many whole lines at once on a console without a rate", async () => {
    const device = createRecorder();
    await record(
      (console) => {
        for (let at = 0; at < 1000; at++) console.output(Buffer.from(`a line with the number ${at}\n`));
      },
      { device },
    );
    expect(device.writes.length).toBeLessThan(30);
    expect(device.writes.every((bytes) => bytes.endsWith("\n"))).toBe(true);
  });

  it("shows an open line after a moment, and continues it", async () => {
    const text = await record(
      async (console, device) => {
        console.output(Buffer.from("Do you want to "));
        console.output(Buffer.from("go on? "));
        await expect.poll(() => device.text).toBe("Do you want to go on? ");
        console.output(Buffer.from("yes\n"));
      },
      { openLineMs: 10 },
    );
    expect(text).toBe("Do you want to go on? yes\n");
  });

  it("ends a line that the test left open when the step is over", async () => {
    const text = await record((console) => {
      console.output(Buffer.from("half"));
      console.endOutput();
      console.line("whole");
    });
    expect(text).toBe("half\nwhole\n");
  });

  it("elides and counts the middle of a burst, and shows the first and last lines", async () => {
    const text = await record(
      (console) => {
        for (let at = 1; at <= 5000; at++) console.output(Buffer.from(`line ${at}\n`));
        console.endOutput();
        console.line("verdict");
      },
      { device: createRecorder(SLOW), queueMs: QUEUE_MS },
    );
    const lines = text.trimEnd().split("\n");
    const noteAt = lines.findIndex((line) => NOTE.test(line));
    const missing = Number(NOTE.exec(lines[noteAt]!)![1]!.replaceAll(",", ""));
    expect(noteAt).toBeGreaterThan(100);
    expect(lines.slice(0, noteAt)).toEqual(Array.from({ length: noteAt }, (_, at) => `line ${at + 1}`));
    const last = lines.slice(noteAt + 1, -1);
    expect(last.length).toBeGreaterThan(20);
    expect(last).toEqual(Array.from({ length: last.length }, (_, at) => `line ${5001 - last.length + at}`));
    expect(noteAt + missing + last.length).toBe(5000);
    expect(lines.at(-1)).toBe("verdict");
  });

  it("shows every line that farms match, in order, whatever is elided around it", async () => {
    const results = [
      "hwci: mesa: exit_code: 0",
      "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>",
      "\x1b[0Ksection_start:1700000000:deqp[collapsed=true]\r\x1b[0Kdeqp",
      "not ok 3 - broken",
      "MaRS: Registration complete",
    ];
    const text = await record(
      (console) => {
        const noise = "noise, and not ok in the middle of it\n".repeat(2000);
        for (const result of results) {
          const bytes = Buffer.from(`${noise}${result}\n${noise}`);
          // Cut wherever it falls.
          for (let at = 0; at < bytes.length; at += 4999) console.output(bytes.subarray(at, at + 4999));
        }
        console.endOutput();
      },
      { device: createRecorder(SLOW), queueMs: QUEUE_MS },
    );
    const lines = text.trimEnd().split("\n");
    expect(lines.filter((line) => results.includes(line))).toEqual(results);
    const counted = lines.reduce(
      (sum, line) => sum + Number(NOTE.exec(line)?.[1]?.replaceAll(",", "") ?? 0),
      0,
    );
    const shown = lines.filter((line) => line.startsWith("noise")).length;
    expect(counted + shown).toBe(4000 * results.length);
  });

  it("truncates a line that never ends, and says how much is missing", async () => {
    const text = await record((console) => {
      const piece = Buffer.alloc(1 << 20, "x");
      for (let at = 0; at < 64; at++) console.output(piece);
      console.output(Buffer.from("\nnext\n"));
    });
    expect(text).toBe(`${"x".repeat(4096)} … 67,104,768 bytes of this line not shown\nnext\n`);
  });

  it("shows a few states of a progress bar as lines, and the last one", async () => {
    const text = await record(
      async (console, device) => {
        console.output(Buffer.from("  1 %\r  2 %\r"));
        await expect.poll(() => device.text).toBe("  2 %\n");
        for (let at = 3; at <= 100; at++) console.output(Buffer.from(`${at} %\r`));
        console.output(Buffer.from("\nend\n"));
      },
      { openLineMs: 10, stateMs: 60_000 },
    );
    expect(text).toBe("  2 %\n100 %\nend\n");
  });

  it("shows an interactive step's bytes unchanged", async () => {
    const bytes = "\x1b[31mlava-shell: \x1b[0m\x07dutboot: not ours\r\n$ ";
    const text = await record(async (console, device) => {
      console.beginOutput({ isInteractive: true });
      console.output(Buffer.from(bytes));
      await expect.poll(() => device.text).toBe(bytes);
      console.endOutput();
      console.output(Buffer.from("\x07\n"));
    });
    expect(text).toBe(`${bytes}\n\\x07\n`);
  });

  it("elides lines in an interactive step's flood, and returns to bytes", async () => {
    const text = await record(
      async (console, device) => {
        console.beginOutput({ isInteractive: true });
        for (let at = 0; at < 500; at++)
          console.output(Buffer.from(`row ${at}\r\n<LAVA_SIGNAL_${at}`.slice(0, at === 250 ? 99 : 9)));
        console.output(Buffer.from(`\r\n${"more of it\r\n".repeat(500)}$ `));
        device.go();
        await expect.poll(() => device.text.endsWith("$ "), { timeout: 5000 }).toBe(true);
      },
      { device: createRecorder(SLOW), queueMs: QUEUE_MS },
    );
    expect(text).toMatch(/lines not shown; the full log is in the results …\n/);
    expect(text).toContain("<LAVA_SIGNAL_250");
  });

  it("keeps consoles independent of each other", async () => {
    const gone: string[] = [];
    const stuck = createRecorder({ name: "stuck", holds: true });
    const lost: ConsoleDevice = {
      ...createRecorder({ name: "lost" }),
      write: (_, done) => done(new Error("EIO")),
    };
    const fine = createRecorder({ name: "fine" });
    const target = new ConsoleSet([stuck, lost, fine], {
      readUptimeMs: () => 0,
      onGone: (name) => gone.push(name),
      stuckMs: 50,
    });
    target.line("one");
    target.output(Buffer.from("two\n"));
    await target.flush();
    // It was waited for once.
    const startedAt = performance.now();
    target.line("three");
    await target.flush();
    expect(performance.now() - startedAt).toBeLessThan(40);
    expect(fine.text).toBe("one\ntwo\nthree\n");
    expect(gone).toEqual(["lost"]);
    expect(target.names).toEqual(["stuck", "fine"]);
  });

  it("shows the agent's first lines on a console that appears later", async () => {
    const target = new ConsoleSet([], { readUptimeMs: () => 0 });
    target.line("first of all");
    const late = createRecorder();
    target.add(late);
    target.line("second");
    await target.flush();
    expect(late.text).toBe("first of all\nsecond\n");
  });
});
