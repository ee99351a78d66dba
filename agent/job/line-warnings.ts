/**
 * What is suspicious about a command line as a text, whatever its dialect: secrets in it, and its length.
 * x86 kernels cut at COMMAND_LINE_SIZE without a word (arch/x86/include/asm/setup.h); other architectures differ.
 */

import { findSecrets } from "../redaction/patterns.ts";
import { END_MARKER } from "./dut/read-options.ts";
import type { Dialect } from "./job.ts";
import { CMDLINE_MAX_BYTES, CMDLINE_WARN_BYTES } from "./limits.ts";
import { parseCommandLine } from "./syntax/command-line.ts";

export function findLineWarnings(line: string): string[] {
  return [...findSecrets(line), ...warnOfLength(line.trimEnd())];
}

function warnOfLength(line: string): string[] {
  const bytes = Buffer.byteLength(line);
  if (bytes < CMDLINE_WARN_BYTES) return [];
  // Its last byte is the NUL.
  if (bytes >= CMDLINE_MAX_BYTES - 1)
    return [
      `the command line has ${bytes} bytes: x86 kernels keep ${CMDLINE_MAX_BYTES - 1} and drop the rest`,
    ];
  return [
    `the command line has ${bytes} bytes: x86 kernels cut it at ${CMDLINE_MAX_BYTES}, many boot loaders earlier`,
  ];
}

/**
 * For `explain`: a marker that is missing. Other dialects have no such word, and are told only
 * when they are near the limit.
 */
export function warnOfMissingEnd(line: string, dialect: Dialect): string[] {
  if (dialect !== "dut" && Buffer.byteLength(line) < CMDLINE_WARN_BYTES) return [];
  if (parseCommandLine(line).parameters.some(({ name }) => name === END_MARKER)) return [];
  return [
    `no end marker: with ${END_MARKER} as the last word, a line that was cut on its way is told from a whole one`,
  ];
}
