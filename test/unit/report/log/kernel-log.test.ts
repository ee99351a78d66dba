import { expect, it } from "vitest";
import { parseKernelRecord } from "../../../../agent/report/log/kernel-log.ts";

const CASES = [
  {
    name: "a message with properties",
    record: "6,339,5140900,-;NET: Registered PF_INET6\n SUBSYSTEM=net\n DEVICE=n1\n",
    lines: ["[    5.140900] NET: Registered PF_INET6"],
  },
  {
    name: "a signal that a test wrote",
    record: "8,1000,3661000001,-;<LAVA_SIGNAL_ENDTC a;b>\n",
    lines: ["[ 3661.000001] <LAVA_SIGNAL_ENDTC a;b>"],
  },
  {
    name: "several lines in one message",
    record: "4,1,0,-;one\\x0atwo\n",
    lines: ["[    0.000000] one", "[    0.000000] two"],
  },
  { name: "bytes beyond ASCII", record: "4,1,0,-;caf\\xc3\\xa9 \\x5c\n", lines: ["[    0.000000] café \\"] },
  { name: "a level that the console does not show", record: "7,2,1,-;debug\n", lines: [] },
  { name: "a level without its facility", record: "31,2,1,-;debug of a daemon\n", lines: [] },
  { name: "not a record", record: "noise", lines: [] },
];

it.each(CASES)("$name", ({ record, lines }) => {
  const parsed = parseKernelRecord(record);
  expect(parsed.level < 7 ? parsed.lines : []).toEqual(lines);
});
