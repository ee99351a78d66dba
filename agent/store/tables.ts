/**
 * Keeps the folder of tables within its bound: those written longest ago go first, as they cost a megabyte to fetch again.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { TABLES_MAX_BYTES } from "../limits.ts";
import { dropRecord } from "./records.ts";
import type { StorePlace } from "./store-place.ts";

export function dropOldTables(place: StorePlace, maxBytes: number = TABLES_MAX_BYTES): void {
  const tables = readdirSync(place.tables).map((name) => {
    const path = join(place.tables, name);
    const { size, mtimeMs } = statSync(path);
    return { path, size, mtimeMs };
  });
  tables.sort((left, right) => right.mtimeMs - left.mtimeMs);
  let keptBytes = 0;
  for (const { path, size } of tables) {
    keptBytes += size;
    if (keptBytes > maxBytes) dropRecord(path);
  }
}
