/**
 * Parses a line of TAP 13/14 (testanything.org) or KTAP (Documentation/dev-tools/ktap.rst). Subtests are indented by blanks, or by `# ` in
 * the output of the kernel's selftests.
 */
import type { Outcome } from "./test-case.ts";

export interface TapResult {
  kind: "result";
  isOk: boolean;
  number?: number;
  description: string;
  directive?: "SKIP" | "TODO" | "XFAIL" | "TIMEOUT" | "ERROR";
  /** The text after the directive, or in its place (`exit=1`). */
  reason: string;
}

export type TapLine = { indent: string; text: string } & (
  | { kind: "version"; isKernel: boolean }
  | { kind: "plan"; planned: number; skip?: string }
  | TapResult
  | { kind: "bail"; reason: string }
  | { kind: "other" }
);

/** The kernel's time stamp, with the caller's id if that is configured. */
const KERNEL_STAMP = /^(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?/;
const INDENT = /^(?:#(?= |$)|[ \t])*/;
const RESULT = /^(not ok|ok)(?= |\t|$)(?:[ \t]+(\d{1,9})(?=[ \t]|$))?[ \t]*(.*)$/;
/**
 * TAP's own keywords in any case, those of KTAP and kselftest's `exit=1` as the kernel writes them. A name may have a `#` of its own, so
 * the last one with a keyword counts.
 */
const DIRECTIVE =
  /^(.*[ \t]|)#[ \t]*(?:([Ss][Kk][Ii][Pp](?:[Pp][Ee][Dd])?|[Tt][Oo][Dd][Oo]|XFAIL|TIMEOUT|ERROR)\b:?[ \t]*(.*)|(exit=\d+.*))$/;

export function parseTapLine(line: string): TapLine {
  const text = line.replace(KERNEL_STAMP, "");
  const indent = INDENT.exec(text)![0];
  const body = text.slice(indent.length);
  const at = { indent, text };
  switch (body[0]) {
    case "T":
    case "K": {
      const version = /^(K?)TAP version \d+\s*$/.exec(body);
      if (version) return { ...at, kind: "version", isKernel: version[1] === "K" };
      break;
    }
    case "1": {
      const plan = /^1\.\.(\d{1,9})\s*(?:#\s*(?:SKIP\S*)?\s*(.*))?$/i.exec(body);
      if (plan) {
        const [, planned, skip] = plan;
        const skipReason = planned === "0" ? (skip ?? "") : undefined;
        return { ...at, kind: "plan", planned: Number(planned), skip: skipReason };
      }
      break;
    }
    case "B": {
      const bail = /^Bail out!\s*(.*)$/.exec(body);
      if (bail) return { ...at, kind: "bail", reason: bail[1]! };
      break;
    }
    case "o":
    case "n": {
      const result = RESULT.exec(body);
      if (result) return { ...at, kind: "result", ...readResult(result) };
    }
  }
  return { ...at, kind: "other" };
}

function readResult([, status, number, rest = ""]: RegExpExecArray): Omit<TapResult, "kind"> {
  const [, before, keyword, reason = "", exit = ""] = DIRECTIVE.exec(rest) ?? [];
  return {
    isOk: status === "ok",
    number: number === undefined ? undefined : Number(number),
    description: (before ?? rest)
      .replace(/^-\s*/, "")
      .replace(/\\([#\\])/g, "$1")
      .trim(),
    directive: keyword?.toUpperCase().replace("SKIPPED", "SKIP") as TapResult["directive"],
    reason: (reason || exit).trim(),
  };
}

/** The message of a failure without a reason. */
export const NOT_OK = "not ok";

/** An expected failure counts as skipped: it is no result of what is tested. */
export function judgeTap({ isOk, directive, reason }: TapResult): { outcome: Outcome; message?: string } {
  const explain = (text: string) => (reason === "" ? text : `${text}: ${reason}`);
  switch (directive) {
    case "SKIP":
      return { outcome: "skipped", message: reason };
    case "TODO":
      return isOk ? { outcome: "passed" } : { outcome: "skipped", message: explain("not done yet (TODO)") };
    case "XFAIL":
      return { outcome: "skipped", message: explain("failed as expected (XFAIL)") };
    case "TIMEOUT":
      return isOk
        ? { outcome: "passed" }
        : { outcome: "error", message: explain("ran out of time (TIMEOUT)") };
    case "ERROR":
      return isOk ? { outcome: "passed" } : { outcome: "error", message: explain("could not run (ERROR)") };
    default:
      return isOk ? { outcome: "passed" } : { outcome: "failed", message: reason === "" ? NOT_OK : reason };
  }
}
