import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createConsole } from "../../../agent/report/console.ts";

/** Writes through a console into a file and gives the file's text. */
async function record(
  use: (console: ReturnType<typeof createConsole>) => void,
  queueBytes?: number,
): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), "console-")), "out");
  const fd = openSync(path, "w");
  const target = createConsole(fd, queueBytes === undefined ? {} : { queueBytes });
  use(target);
  await target.flush();
  closeSync(fd);
  return readFileSync(path, "utf8");
}

describe("console", () => {
  it("keeps the agent's lines and the test's output in order", async () => {
    const text = await record((console) => {
      console.line("one");
      console.output(Buffer.from("two\n"));
      console.line("three");
    });
    expect(text).toBe("one\ntwo\nthree\n");
  });

  it("ends a line the test left open before a line of its own", async () => {
    const text = await record((console) => {
      console.output(Buffer.from("half"));
      console.line("whole");
    });
    expect(text).toBe("half\nwhole\n");
  });

  it("elides what does not fit, counts it and says so; the agent's lines are never elided", async () => {
    const text = await record((console) => {
      console.output(Buffer.from("12345678\n"));
      console.output(Buffer.from("too much\n"));
      console.output(Buffer.from("and more\n"));
      console.line("verdict");
    }, 10);
    expect(text).toBe(
      "12345678\n[dutboot: 18 bytes of output left out here; the log file has them]\nverdict\n",
    );
  });

  it("waits for the end of the test's line, so that what a farm reads stays whole", async () => {
    const text = await record((console) => {
      console.output(Buffer.from("hwci: mesa: exit_"));
      console.line("the agent's own");
      console.output(Buffer.from("code: 0\n"));
    });
    expect(text).toBe("hwci: mesa: exit_code: 0\nthe agent's own\n");
  });

  it("passes on the lines that farms wait for, whatever is elided around them", async () => {
    const text = await record((console) => {
      console.output(Buffer.from("12345678\n"));
      console.output(Buffer.from("too much\nhwci: mesa: ex"));
      console.output(Buffer.from("it_code: 0\r\n"));
      console.output(Buffer.from("and more\n"));
    }, 10);
    expect(text).toBe(
      [
        "12345678",
        "[dutboot: 9 bytes of output left out here; the log file has them]",
        "hwci: mesa: exit_code: 0\r",
        "[dutboot: 9 bytes of output left out here; the log file has them]\n",
      ].join("\n"),
    );
  });

  it("passes bytes through as they are", async () => {
    const bytes = Buffer.from([0xff, 0x00, 0x1b, 0x5b, 0x0d, 0x0a]);
    const path = join(mkdtempSync(join(tmpdir(), "console-")), "out");
    const fd = openSync(path, "w");
    const target = createConsole(fd);
    target.output(bytes);
    await target.flush();
    closeSync(fd);
    expect(readFileSync(path)).toEqual(bytes);
  });
});
