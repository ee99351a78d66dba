/** A store on disk with a composefs driver over it, and sources from blobs behind real HTTP servers. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHttpClient } from "../../../agent/net/http/http-client.ts";
import type { HttpClient } from "../../../agent/net/http/http-message.ts";
import { createRangeReader } from "../../../agent/net/ranges/fetch-ranges.ts";
import type { LayerSource, UnpackOptions } from "../../../agent/root/root-driver.ts";
import { createUnpackPool } from "../../../agent/root/unpack/pool.ts";
import { type StoredTree, TreePuller } from "../../../agent/root/unpack/pull-tree.ts";
import { type ObjectStore, openObjectStore } from "../../../agent/store/object-store.ts";
import { openStoreLayout } from "../../../agent/store/store-layout.ts";
import type { Chunked } from "./pack.ts";

const pool = createUnpackPool();

export interface TestStore {
  store: ObjectStore;
  /** What the log said. */
  lines: string[];
  take(source: LayerSource, options?: UnpackOptions): Promise<StoredTree>;
  close(): void;
}

export async function createTestStore(): Promise<TestStore> {
  const path = mkdtempSync(join(tmpdir(), "dutboot-chunked-"));
  mkdirSync(join(path, "store"));
  const store = await openObjectStore(openStoreLayout(join(path, "store")).layout);
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };
  const puller = new TreePuller({ store, pool, log });
  return {
    store,
    lines,
    take: (source, options = {}) => puller.pull(source, options),
    close() {
      store.layout.close();
      rmSync(path, { recursive: true });
    },
  };
}

export function createTestClient(): HttpClient {
  return createHttpClient({
    insecureHosts: ["127.0.0.1"],
    log: { warn() {} },
    retry: { budgetMs: 500, firstDelayMs: 5, maxDelayMs: 20, firstContactBudgetMs: 500 },
  });
}

/** The blob at a URL as a layer of an image, or as an archive. */
export function layerAt(url: string, http: HttpClient, chunked: Chunked): LayerSource {
  const { annotations, digest, diffId, blob } = chunked;
  return {
    ...sourceAt(url, http),
    digest,
    diffId,
    sizeBytes: blob.length,
    parts: { annotations, ...rangesAt(url, http) },
  };
}

export function archiveAt(
  url: string,
  http: HttpClient,
  promised: { digest?: string; tableDigest?: string } = {},
): LayerSource {
  const { digest, tableDigest } = promised;
  return {
    ...sourceAt(url, http),
    digest,
    parts: { ...rangesAt(url, http), tableDigest },
  };
}

function sourceAt(url: string, http: HttpClient): LayerSource {
  return { open: async () => (await http.fetch(url, { hasDigest: true })).body };
}

function rangesAt(url: string, http: HttpClient) {
  return createRangeReader((fields, explainError) =>
    http.fetch(url, { hasDigest: true, explainError, ...fields }),
  );
}
