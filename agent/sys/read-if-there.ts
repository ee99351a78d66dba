/** Reads /proc and /sys, where devices disappear while we look and some attributes are unreadable in some states. */
import { readdirSync, readFileSync } from "node:fs";

/** Without white space at the ends; "" where there is nothing to read. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

export function readdirIfThere(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}
