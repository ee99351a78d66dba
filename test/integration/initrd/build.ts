/** Builds images for these tests: a stand-in agent, compressed quickly, the same cache as everyone's. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArchitectureName } from "../../../initrd/architecture.ts";
import { type BuiltInitrd, buildInitrd } from "../../../initrd/build-initrd.ts";
import { FACTS_ENTRY } from "../../../initrd/bundle.ts";

export const QUICK_LEVEL = 3;
/** Cross-compiling and fetching the other Node take minutes the first time. */
export const BUILD_TIMEOUT_MS = 900_000;

export async function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "dutboot-initrd-"));
}

export function buildStubImage(arch: ArchitectureName, outDir: string): Promise<BuiltInitrd> {
  // Someone may commit while the tests run.
  process.env.SOURCE_DATE_EPOCH ??= String(Math.floor(Date.UTC(2026, 5, 1) / 1000));
  const entries = { ...FACTS_ENTRY, main: "test/integration/initrd/stub-agent.ts" };
  return buildInitrd({ arch, outDir, entries, level: QUICK_LEVEL });
}
