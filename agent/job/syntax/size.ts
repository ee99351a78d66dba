/**
 * Sizes as podman, fallocate and people write them: a number and a unit in powers of 1,024.
 */

import { showValue } from "../../redaction/patterns.ts";
import { ValueError } from "./values.ts";

const UNITS = "bkmgt";

/** `16g`, `8G`, `64MiB`, `512k`, `4096` in bytes; throws ValueError. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(?:([bkmgt])(?:i?b)?)?$/i.exec(text);
  const bytes = match
    ? Math.floor(Number(match[1]) * 1024 ** UNITS.indexOf((match[2] ?? "b").toLowerCase()))
    : 0;
  if (bytes < 1 || !Number.isSafeInteger(bytes)) {
    throw new ValueError(
      `has the size "${showValue(text)}", which is not a number with K, M, G or T behind it`,
    );
  }
  return bytes;
}
