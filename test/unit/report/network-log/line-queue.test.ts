/** The queue of numbered lines: what becomes a line, which number it has, and what is kept, sent again and lost. */
import { describe, expect, it } from "vitest";
import { LineQueue, type LineQueueOptions } from "../../../../agent/report/network-log/line-queue.ts";

const ALL = { maxBytes: 1e9 };

function createQueue(options: Partial<LineQueueOptions> = {}) {
  let uptimeMs = 0;
  return new LineQueue({ boot: "1a2b3c4d", readUptimeMs: () => ++uptimeMs, openLineMs: 20, ...options });
}

async function readAll(queue: LineQueue): Promise<string[]> {
  const lines = await queue.next({ ...ALL, signal: AbortSignal.timeout(100) });
  const marks = { whole: "", start: "+", middle: "~+", end: "~" };
  return (lines ?? []).map(({ number, part, origin, text }) => `${number}${marks[part]} ${origin} ${text}`);
}

describe("lines", () => {
  it("are numbered from 1 on in chronological order, whatever their origin", async () => {
    const queue = createQueue();
    queue.line("[    0.000000] Linux", "kernel");
    queue.line("hello");
    queue.output(Buffer.from("one\ntwo\n\nthr"));
    queue.output(Buffer.from("ee\r\n"));
    queue.line("two\nlines");
    expect(await readAll(queue)).toEqual([
      "1 kernel [    0.000000] Linux",
      "2 dutboot hello",
      "3 test one",
      "4 test two",
      "5 test ",
      "6 test three\r",
      "7 dutboot two",
      "8 dutboot lines",
    ]);
  });

  it("that stay open are passed on in parts", async () => {
    const queue = createQueue();
    queue.output(Buffer.from("login: "));
    expect(await readAll(queue)).toEqual(["1+ test login: "]);
    queue.line("waiting");
    queue.output(Buffer.from("root"));
    expect(await readAll(queue)).toEqual(["2 dutboot waiting"]);
    expect(await readAll(queue)).toEqual(["3~+ test root"]);
    queue.output(Buffer.from("!\n"));
    expect(await readAll(queue)).toEqual(["4~ test !"]);
  });

  it("that are long are sent in parts, without loss", async () => {
    const queue = createQueue({ lineBytes: 4 });
    queue.output(Buffer.from("abcdefghij\nabcd\n"));
    expect(await readAll(queue)).toEqual(["1+ test abcd", "2~+ test efgh", "3~ test ij", "4 test abcd"]);
  });

  it("end with the step and with the log", async () => {
    const queue = createQueue();
    queue.output(Buffer.from("last words"));
    queue.endOutput();
    queue.line("ended");
    queue.output(Buffer.from("more"));
    queue.end();
    queue.line("too late");
    expect(await readAll(queue)).toEqual(["1 test last words", "2 dutboot ended", "3 test more"]);
    expect(await queue.next(ALL)).toBeUndefined();
  });

  it("do not depend on how the output is split into chunks", async () => {
    const text = Buffer.from(Array.from({ length: 50 }, (_, at) => `${"x".repeat(at % 7)}${at}\n`).join(""));
    const whole = createQueue();
    whole.output(text);
    const expected = await readAll(whole);
    for (const step of [1, 2, 3, 7, 64]) {
      const queue = createQueue();
      for (let at = 0; at < text.length; at += step) queue.output(text.subarray(at, at + step));
      expect(await readAll(queue)).toEqual(expected);
    }
  });
});

describe("the queue", () => {
  const fill = (queue: LineQueue, from: number, to: number) => {
    for (let number = from; number <= to; number++) queue.line(`line ${number}`);
  };

  it("waits for lines, and for the end", async () => {
    const queue = createQueue();
    const next = queue.next(ALL);
    queue.line("one");
    expect(await next).toHaveLength(1);
    const none = queue.next(ALL);
    queue.end();
    expect(await none).toBeUndefined();
  });

  it("stops waiting when the signal aborts, and keeps later lines", async () => {
    const queue = createQueue();
    const stop = new AbortController();
    const next = queue.next({ ...ALL, signal: stop.signal });
    stop.abort();
    expect(await next).toBeUndefined();
    queue.line("one");
    expect(await readAll(queue)).toEqual(["1 dutboot one"]);
  });

  it("sends again what was not acknowledged", async () => {
    const queue = createQueue();
    fill(queue, 1, 5);
    await queue.next(ALL);
    queue.acknowledge(3);
    queue.rewind();
    expect(await readAll(queue)).toEqual(["4 dutboot line 4", "5 dutboot line 5"]);
    expect(queue.takeLost()).toBeUndefined();
  });

  it("drops the oldest lines first, and counts them by number", async () => {
    const queue = createQueue({ queueBytes: 10 * 170 });
    fill(queue, 1, 30);
    const lines = await queue.next(ALL);
    expect(lines![0]!.number).toBe(21);
    expect(queue.takeLost()).toEqual({ count: 20, from: 1, to: 20 });
    expect(queue.takeLost()).toBeUndefined();
  });

  it("counts sent lines as lost only when they had to be sent again", async () => {
    const queue = createQueue({ queueBytes: 10 * 170 });
    fill(queue, 1, 10);
    await queue.next(ALL);
    fill(queue, 11, 15);
    expect(queue.takeLost()).toBeUndefined();
    queue.acknowledge(2);
    queue.rewind();
    expect(queue.takeLost()).toEqual({ count: 3, from: 3, to: 5 });
    expect((await queue.next(ALL))!.map(({ number }) => number)).toEqual([
      6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ]);
  });

  it("stays small and in order with many lines", async () => {
    const queue = createQueue();
    let seen = 0;
    for (let round = 0; round < 50; round++) {
      fill(queue, 1, 1000);
      const lines = await queue.next(ALL);
      for (const { number } of lines!) expect(number).toBe(++seen);
      queue.acknowledge(seen);
    }
    expect(seen).toBe(50_000);
  });

  it("keeps nothing once it is discarded", async () => {
    const queue = createQueue();
    fill(queue, 1, 3);
    queue.discard();
    fill(queue, 4, 5);
    expect(await queue.next(ALL)).toBeUndefined();
  });
});
