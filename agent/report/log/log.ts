/**
 * The agent's log: pino records, shown to people as `[uptime] dutboot: text` on the console and in the log file.
 * Fields beside the message stay machine-readable in the JSON lines file.
 */
import { Writable } from "node:stream";
import pino from "pino";
import type { Redaction } from "../../redaction/redaction.ts";
import { formatAgentLine } from "../console/agent-line.ts";

export type Log = pino.Logger;

export interface LogOptions {
  redaction: Redaction;
  /** Takes a finished line for people, without its line end. */
  onLine: (line: string) => void;
  /** Takes a JSON line with its line end. */
  onRecord: (record: string) => void;
  readUptimeMs: () => number;
  level?: string;
}

interface LogRecord {
  level: string;
  uptimeMs: number;
  msg?: string;
}

export function createLog(options: LogOptions): Log {
  const sink = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      const record = options.redaction.cleanValue(JSON.parse(String(chunk)) as LogRecord);
      options.onRecord(`${JSON.stringify(record)}\n`);
      options.onLine(formatLine(record));
      done();
    },
  });
  return pino(
    {
      base: null,
      level: options.level ?? "info",
      timestamp: () => `,"uptimeMs":${options.readUptimeMs()}`,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
}

function formatLine({ level, uptimeMs, msg }: LogRecord): string {
  const mark = level === "info" ? "" : `${level}: `;
  return formatAgentLine(`${mark}${msg ?? ""}`, uptimeMs);
}
