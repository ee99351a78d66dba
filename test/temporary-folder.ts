import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Creates a folder that is deleted at the end of the test. */
export function createTemporaryFolder(name: string): string {
  const path = mkdtempSync(join(tmpdir(), `dutboot-${name}-`));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
