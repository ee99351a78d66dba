/**
 * Whether a file system has any room left: what a test that failed may have failed of.
 */
import { statfsSync } from "node:fs";
import { FULL_BELOW_BYTES } from "../limits.ts";

export function isFull(path: string): boolean {
  const { bsize, bavail } = statfsSync(path);
  return bsize * bavail < FULL_BELOW_BYTES;
}
