/**
 * Event lines: what happened on the DUT, one JSON object per line, over a virtio-serial port or in a file. A stream without the final
 * `end` event is a failed run, as in vmtest.
 */
import type { ErrorCode } from "../errors.ts";
import type { Step } from "../job/step.ts";
import type { Verdict } from "./verdict.ts";

/** Name of the virtio-serial port the DUT writes its events to. */
export const EVENT_PORT_NAME = "org.dutboot.events";

export type EventBody =
  /** `bootId` is also in the verdict that ends the stream. */
  | { event: "start"; agent: string; bootId: string }
  /** `cpu` is empty when unknown. */
  | { event: "machine"; kernel: string; architecture: string; cpu: string; ramBytes: number }
  | { event: "phase_start"; phase: string }
  | { event: "phase_end"; phase: string; outcome: "done" | "failed" | "skipped"; durationMs: number }
  /** A step's container is about to run; `id` is unique within the boot, `name` contains no secrets. */
  | { event: "step_start"; id: string; kind: Step["kind"]; name: string }
  /** `exitCode` is null when the container could not run; `error` has the reason. */
  | {
      event: "step_end";
      id: string;
      exitCode: number | null;
      durationMs: number;
      oomKilled?: boolean;
      timedOut?: boolean;
      error?: ErrorCode;
    }
  /** The end of a transfer that started `durationMs` ago: what was fetched, and what was stored already. It may have failed. */
  | {
      event: "transfer";
      kind: "layer" | "archive";
      name: string;
      fetchedBytes: number;
      reusedBytes: number;
      durationMs: number;
    }
  /** `cpuPercent`: of all CPUs together, since the previous sample. */
  | { event: "sample"; memoryUsedBytes: number; memoryTotalBytes: number; cpuPercent: number }
  /** An earlier boot on this cache device that did not end, or could not upload its results. */
  | {
      event: "previous_boot";
      bootId: string;
      state: "running" | "ended";
      phase: string;
      step: string | null;
      /** The last known one. */
      uptimeMs: number;
      panic?: string;
    }
  | { event: "report"; topic: string; [key: string]: unknown }
  | { event: "end"; verdict: Verdict; peakRssBytes: number };

/** `v` is the format's version, `seq` counts from 0 without gaps, `uptimeMs` is the time since power-on. */
export type EventLine = { v: 1; seq: number; uptimeMs: number } & EventBody;

export function formatEventLine(line: EventLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** undefined for other lines, such as kernel messages and cut lines. */
export function parseEventLine(text: string): EventLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const line = value as Partial<EventLine>;
    return line.v === 1 && typeof line.event === "string" ? (line as EventLine) : undefined;
  } catch {
    return undefined;
  }
}
