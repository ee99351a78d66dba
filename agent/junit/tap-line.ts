/**
 * One line of TAP 13/14 (testanything.org) or KTAP (Documentation/dev-tools/ktap.rst): what it is, and how deep it stands.
 * Subtests are indented by blanks, or by `# ` as the kernel's selftests runner does with what a test of its printed.
 */
import type { Outcome } from "./test-case.ts";

export interface TapResult {
  kind: "result";
  isOk: boolean;
  number?: number;
  description: string;
  directive?: "SKIP" | "TODO" | "XFAIL" | "TIMEOUT" | "ERROR";
  /** What stands behind the directive, or in its place (`exit=1`). */
  reason: string;
}

export type TapLine = { indent: string; text: string } & (
  | { kind: "version"; isKernel: boolean }
  | { kind: "plan"; planned: number; skip?: string }
  | TapResult
  | { kind: "bail"; reason: string }
  | { kind: "other" }
);

/** The kernel's own stamp, with the caller's id where that is configured. */
const KERNEL_STAMP = /^(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?/;
const INDENT = /^(?:#(?= |$)|[ \t])*/;
const RESULT = /^(not ok|ok)(?= |\t|$)(?:[ \t]+(\d{1,9})(?=[ \t]|$))?[ \t]*(.*)$/;
const DIRECTIVE = /^(SKIP|TODO|XFAIL|TIMEOUT|ERROR)(?:PED)?\b:?[ \t]*(.*)$/i;

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
        return {
          ...at,
          kind: "plan",
          planned: Number(planned),
          ...(planned === "0" && { skip: skip ?? "" }),
        };
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

function readResult([, status, number, words = ""]: RegExpExecArray): Omit<TapResult, "kind"> {
  const [description, behind] = splitAtHash(words);
  const directive = DIRECTIVE.exec(behind);
  return {
    isOk: status === "ok",
    ...(number !== undefined && { number: Number(number) }),
    description: description.replace(/^-\s*/, "").trim(),
    ...(directive && { directive: directive[1]!.toUpperCase() as NonNullable<TapResult["directive"]> }),
    reason: (directive ? directive[2]! : behind).trim(),
  };
}

/** At the first ` #` that is not escaped; escapes are taken out (TAP 14). */
function splitAtHash(words: string): [string, string] {
  const hash = /(?:^|[ \t])#[ \t]*/.exec(words);
  const description = hash ? words.slice(0, hash.index) : words;
  const behind = hash ? words.slice(hash.index + hash[0].length) : "";
  return [description.replace(/\\([#\\])/g, "$1"), behind];
}

/** A failure's message where the line says no more. */
export const NOT_OK = "not ok";

/** What is expected to fail is told as skipped: it says nothing of what is tested. */
export function judgeTap({ isOk, directive, reason }: TapResult): { outcome: Outcome; message?: string } {
  const say = (words: string) => (reason === "" ? words : `${words}: ${reason}`);
  switch (directive) {
    case "SKIP":
      return { outcome: "skipped", message: reason };
    case "TODO":
      return isOk ? { outcome: "passed" } : { outcome: "skipped", message: say("not done yet (TODO)") };
    case "XFAIL":
      return { outcome: "skipped", message: say("failed as expected (XFAIL)") };
    case "TIMEOUT":
      return isOk ? { outcome: "passed" } : { outcome: "error", message: say("ran out of time (TIMEOUT)") };
    case "ERROR":
      return isOk ? { outcome: "passed" } : { outcome: "error", message: say("could not run (ERROR)") };
    default:
      return isOk ? { outcome: "passed" } : { outcome: "failed", message: reason === "" ? NOT_OK : reason };
  }
}
