/**
 * Keeping the store within its quota: the images and archives used longest ago go first, pinned ones never,
 * and an object that no tree names any more goes with the last of them.
 */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DigestIndex } from "./digest-index.ts";
import { dropRecord, putRecord, readRecordIfExists } from "./records.ts";
import { listObjects, pathOfObject, type StoreLayout } from "./store-layout.ts";

/** What somebody asked for by name: an image or an archive, and what of the store belongs to it. */
export interface Reference {
  kind: "image" | "archive";
  /** As it was asked for, for the report; no secrets. */
  name: string;
  /** Ids of the trees it is made of. */
  trees: string[];
  /** fs-verity digest of its composefs image. */
  image?: string;
  usedAtMs: number;
}

export interface KeptReference extends Reference {
  id: string;
}

export interface CollectResult {
  /** What is kept, most recently used first. */
  kept: KeptReference[];
  keptBytes: number;
  droppedReferences: KeptReference[];
  droppedObjects: number;
  freedBytes: number;
}

export function putReference(place: StoreLayout, id: string, reference: Reference): void {
  putRecord(place, place.references, id, JSON.stringify(reference));
}

export function readReferences(place: StoreLayout): KeptReference[] {
  const references = readdirSync(place.references).flatMap((id): KeptReference[] => {
    const bytes = readRecordIfExists(place, place.references, id);
    return bytes ? [{ id, ...(JSON.parse(bytes.toString()) as Reference) }] : [];
  });
  return references.sort((a, b) => b.usedAtMs - a.usedAtMs);
}

/** `pinned` are ids of references that are in use now. */
export function collect(
  place: StoreLayout,
  index: DigestIndex,
  { quotaBytes, pinned }: { quotaBytes: number; pinned: ReadonlySet<string> },
): CollectResult {
  const sizes = measureObjects(place);
  const references = readReferences(place);
  const droppedReferences: KeptReference[] = [];
  let kept = references;
  let live = liveObjects(place, kept);
  while (sumSizes(live, sizes) > quotaBytes) {
    const oldest = kept.findLast(({ id }) => !pinned.has(id));
    if (!oldest) break;
    droppedReferences.push(oldest);
    kept = kept.filter((reference) => reference !== oldest);
    live = liveObjects(place, kept);
  }

  for (const { id } of droppedReferences) dropRecord(join(place.references, id));
  dropUnnamedTrees(place, kept);
  let freedBytes = 0;
  let droppedObjects = 0;
  for (const [verity, sizeBytes] of sizes) {
    if (live.has(verity)) continue;
    rmSync(join(place.objects, pathOfObject(verity)), { force: true });
    rmSync(join(place.images, verity), { force: true });
    freedBytes += sizeBytes;
    droppedObjects++;
  }
  if (droppedObjects > 0) index.rewrite((verity) => live.has(verity));
  return { kept, keptBytes: sumSizes(live, sizes), droppedReferences, droppedObjects, freedBytes };
}

function measureObjects(place: StoreLayout): Map<string, number> {
  const measure = (verity: string) => statSync(join(place.objects, pathOfObject(verity))).size;
  return new Map(listObjects(place).map((verity) => [verity, measure(verity)]));
}

function liveObjects(place: StoreLayout, references: readonly Reference[]): Set<string> {
  const live = new Set<string>();
  for (const { trees, image } of references) {
    if (image) live.add(image);
    for (const tree of trees) {
      const digests = readRecordIfExists(place, place.trees, `${tree}.objects`)?.toString("hex") ?? "";
      for (let at = 0; at < digests.length; at += 64) live.add(digests.slice(at, at + 64));
    }
  }
  return live;
}

function dropUnnamedTrees(place: StoreLayout, references: readonly Reference[]): void {
  const named = new Set(references.flatMap(({ trees }) => trees));
  for (const file of readdirSync(place.trees)) {
    if (!named.has(file.replace(/\.(members|objects)$/, ""))) dropRecord(join(place.trees, file));
  }
}

function sumSizes(live: ReadonlySet<string>, sizes: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const verity of live) sum += sizes.get(verity) ?? 0;
  return sum;
}
