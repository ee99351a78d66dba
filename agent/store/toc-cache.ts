/**
 * Keeps the folder of tables within its bound: those written longest ago go first, as they cost a megabyte to fetch again.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { TABLES_MAX_BYTES } from "./limits.ts";
import { dropRecord } from "./records.ts";
import type { StoreLayout } from "./store-layout.ts";

export function dropOldTables(place: StoreLayout, maxBytes: number = TABLES_MAX_BYTES): void {
  const tables = listTables(place, "").sort((left, right) => right.writtenMs - left.writtenMs);
  let keptBytes = 0;
  for (const { id, sizeBytes } of tables) {
    keptBytes += sizeBytes;
    if (keptBytes > maxBytes) dropRecord(join(place.tables, id));
  }
}

export function listTables(
  place: StoreLayout,
  prefix: string,
): { id: string; sizeBytes: number; writtenMs: number }[] {
  return readdirSync(place.tables)
    .filter((id) => id.startsWith(prefix))
    .map((id) => {
      const { size, mtimeMs } = statSync(join(place.tables, id));
      return { id, sizeBytes: size, writtenMs: mtimeMs };
    });
}
