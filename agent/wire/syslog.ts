/**
 * A line of the log as a syslog message (RFC 5424), with its number as `sequenceId` (section 7.3.1), and frames of RFC 6587. PROCID is the
 * boot's id: by section 6.2.6 a new one means that the numbers start again.
 */
import type { LinePart, NumberedLine } from "./numbered-line.ts";

/** The APP-NAME of the message. */
export type LineOrigin = "dutboot" | "test" | "kernel";

/** `timeMs` is undefined when the clock is not set. */
export type SyslogFormat = (
  line: NumberedLine,
  context: { origin: LineOrigin; timeMs: number | undefined },
) => Buffer;

/** Facility local0 for the agent and the test, kern for the kernel; severity "informational". */
const PRIORITY: Readonly<Record<LineOrigin, number>> = { dutboot: 134, test: 134, kernel: 6 };
const MSGID: Readonly<Record<LinePart, string>> = {
  whole: "-",
  start: "START",
  middle: "MIDDLE",
  end: "END",
};
const PART: Readonly<Record<string, LinePart>> = {
  "-": "whole",
  START: "start",
  MIDDLE: "middle",
  END: "end",
};
const HOSTNAME_MAX_LENGTH = 255;

/** `hostname` is undefined when the machine has neither a name nor an address. */
export function createSyslogFormat({ hostname }: { hostname: string | undefined }): SyslogFormat {
  const name = hostname?.replace(/[^\x21-\x7e]/g, "").slice(0, HOSTNAME_MAX_LENGTH) || "-";
  // Many lines have the same millisecond.
  let last = { timeMs: Number.NaN, text: "" };
  const formatTime = (timeMs: number) => {
    if (timeMs !== last.timeMs) last = { timeMs, text: new Date(timeMs).toISOString() };
    return last.text;
  };
  return ({ boot, number, uptimeMs, part, text }, { origin, timeMs }) => {
    const time = timeMs === undefined ? "-" : formatTime(timeMs);
    // sysUpTime is in hundredths of a second (section 7.3.3).
    const data = `[meta sequenceId="${number}" sysUpTime="${Math.floor(uptimeMs / 10)}"]`;
    const head = `<${PRIORITY[origin]}>1 ${time} ${name} ${origin} ${boot} ${MSGID[part]} ${data} `;
    return prepend(head, text);
  };
}

/** Octet counting (RFC 6587, section 3.4.1), as a text may contain any byte. */
export function frameSyslogMessage(message: Buffer): Buffer {
  return prepend(`${message.length} `, message);
}

/** The text is copied once only: a test may print many lines. */
function prepend(head: string, text: Buffer): Buffer {
  const message = Buffer.allocUnsafe(head.length + text.length);
  message.write(head, "latin1");
  text.copy(message, head.length);
  return message;
}

/** Collectors may rewrite what is before APP-NAME. */
const MESSAGE =
  /^(?:<\d{1,3}>1? ?)?.{0,400}?\s(?:dutboot|test|kernel)\s+([0-9a-f]{8})\s+(-|START|MIDDLE|END)\s+\[meta sequenceId="([1-9]\d{0,15})" sysUpTime="(\d{1,15})"\](?: |$)/;
const HEAD_MAX_BYTES = 800;

/** undefined when `bytes` is not one of our messages, without frame and line end. */
export function parseSyslogMessage(bytes: Buffer): NumberedLine | undefined {
  const match = MESSAGE.exec(bytes.toString("latin1", 0, HEAD_MAX_BYTES));
  if (!match) return undefined;
  const [head, boot, messageId, number, hundredths] = match;
  return {
    boot: boot!,
    number: Number(number),
    uptimeMs: Number(hundredths) * 10,
    part: PART[messageId!]!,
    text: bytes.subarray(head.length),
  };
}
