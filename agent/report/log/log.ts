/**
 * The agent's log: pino records, as `[uptime] dutboot: text` for people and as JSON lines for programs.
 */
import { Writable } from "node:stream";
import pino from "pino";
import type { Redaction } from "../../redaction/redaction.ts";
import { formatAgentLine } from "../console/agent-line.ts";

export type Log = pino.Logger;

export interface LogOptions {
  redaction: Pick<Redaction, "cleanValue">;
  /** Gets a formatted line, without its line end. */
  onLine: (line: string) => void;
  /** Gets a JSON line with its line end. */
  onRecord: (record: string) => void;
  readUptimeMs: () => number;
}

interface LogRecord {
  level: string;
  uptimeMs: number;
  msg?: string;
}

export function createLog({ redaction, onLine, onRecord, readUptimeMs }: LogOptions): Log {
  const sink = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      const record = redaction.cleanValue(JSON.parse(String(chunk)) as LogRecord);
      onRecord(`${JSON.stringify(record)}\n`);
      const { level, uptimeMs, msg = "" } = record;
      onLine(formatAgentLine(level === "info" ? msg : `${level}: ${msg}`, uptimeMs));
      done();
    },
  });
  return pino(
    {
      base: null,
      timestamp: () => `,"uptimeMs":${readUptimeMs()}`,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
}
