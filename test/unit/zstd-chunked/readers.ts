/** Ends of the reading code that only tests need. */
import { createHash } from "node:crypto";
import type { TarHash } from "../../../agent/archive/zstd-chunked/layer-rebuilder.ts";
import { type Toc, type TocLimits, TocReader } from "../../../agent/archive/zstd-chunked/toc.ts";

/** A TOC that is in memory as a whole. Throws CHUNKED_BAD_TOC or CHUNKED_TOO_LARGE. */
export function parseToc(plain: Buffer, limits: TocLimits): Toc {
  const reader = new TocReader(limits);
  reader.push(plain);
  return reader.finish();
}

export function createTarHash(): TarHash {
  const hash = createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), finish: () => `sha256:${hash.digest("hex")}` };
}
