/**
 * Keeps the store within its quota: the least recently used images and archives are deleted, pinned ones never, and
 * with them the objects that no tree refers to any more.
 */

import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { formatObjectPath } from "../composefs/object-repository.ts";
import type { DigestIndex } from "./digest-index.ts";
import { deleteRecord, putRecord, readRecordIfExists } from "./records.ts";
import { listObjects, type StoreLayout } from "./store-layout.ts";

/** An image or archive that a job used, and what belongs to it. */
export interface Reference {
  kind: "image" | "archive";
  /** As in the job, for reports; without secrets. */
  name: string;
  /** Ids. */
  trees: string[];
  /** fs-verity digest of its composefs image. */
  image?: string;
  usedAtMs: number;
}

export interface KeptReference extends Reference {
  id: string;
}

export interface CollectResult {
  /** Most recently used first. */
  kept: KeptReference[];
  keptBytes: number;
  droppedReferences: KeptReference[];
  droppedObjects: number;
  freedBytes: number;
}

export function putReference(layout: StoreLayout, id: string, reference: Reference): void {
  putRecord(layout, layout.references, id, JSON.stringify(reference));
}

export function readReferences(layout: StoreLayout): KeptReference[] {
  const references = readdirSync(layout.references).flatMap((id): KeptReference[] => {
    const bytes = readRecordIfExists(layout, layout.references, id);
    return bytes ? [{ id, ...(JSON.parse(bytes.toString()) as Reference) }] : [];
  });
  return references.sort((a, b) => b.usedAtMs - a.usedAtMs);
}

/** `pinned` are ids of references that are in use. */
export function collect(
  layout: StoreLayout,
  index: DigestIndex,
  { quotaBytes, pinned }: { quotaBytes: number; pinned: ReadonlySet<string> },
): CollectResult {
  const sizes = measureObjects(layout);
  const references = readReferences(layout);
  const droppedReferences: KeptReference[] = [];
  let kept = references;
  let live = findLiveObjects(layout, kept);
  while (sumSizes(live, sizes) > quotaBytes) {
    const oldest = kept.findLast(({ id }) => !pinned.has(id));
    if (!oldest) break;
    droppedReferences.push(oldest);
    kept = kept.filter((reference) => reference !== oldest);
    live = findLiveObjects(layout, kept);
  }

  for (const { id } of droppedReferences) deleteRecord(join(layout.references, id));
  deleteUnusedTrees(layout, kept);
  let freedBytes = 0;
  let droppedObjects = 0;
  for (const [verity, sizeBytes] of sizes) {
    if (live.has(verity)) continue;
    rmSync(join(layout.objects, formatObjectPath(verity)), { force: true });
    rmSync(join(layout.images, verity), { force: true });
    freedBytes += sizeBytes;
    droppedObjects++;
  }
  if (droppedObjects > 0) index.rewrite((verity) => live.has(verity));
  return { kept, keptBytes: sumSizes(live, sizes), droppedReferences, droppedObjects, freedBytes };
}

function measureObjects(layout: StoreLayout): Map<string, number> {
  const measure = (verity: string) => statSync(join(layout.objects, formatObjectPath(verity))).size;
  return new Map(listObjects(layout).map((verity) => [verity, measure(verity)]));
}

function findLiveObjects(layout: StoreLayout, references: readonly Reference[]): Set<string> {
  const live = new Set<string>();
  for (const { trees, image } of references) {
    if (image) live.add(image);
    for (const tree of trees) {
      const digests = readRecordIfExists(layout, layout.trees, `${tree}.objects`)?.toString("hex") ?? "";
      for (let at = 0; at < digests.length; at += 64) live.add(digests.slice(at, at + 64));
    }
  }
  return live;
}

function deleteUnusedTrees(layout: StoreLayout, references: readonly Reference[]): void {
  const used = new Set(references.flatMap(({ trees }) => trees));
  for (const file of readdirSync(layout.trees)) {
    if (!used.has(file.replace(/\.(members|objects)$/, ""))) deleteRecord(join(layout.trees, file));
  }
}

function sumSizes(live: ReadonlySet<string>, sizes: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const verity of live) sum += sizes.get(verity) ?? 0;
  return sum;
}
