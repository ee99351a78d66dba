/**
 * Keeps the table of contents of a layer that is taken whole, as it streams by, so that the next version of the layer
 * finds the chunks that it shares with this one.
 */
import { type FramePosition, parseChunkedAnnotations } from "../../archive/zstd-chunked/annotations.ts";
import type { ObjectRepository } from "../../composefs/object-repository.ts";
import { AgentError } from "../../errors.ts";
import { CHUNKED_TABLES_MAX_BYTES } from "../limits.ts";
import type { PartSource } from "../root-driver.ts";
import { copyOverlap, nameToc, sha256Of } from "./tables.ts";

export interface TablePlace {
  position: FramePosition;
  /** `sha256:…` */
  digest: string;
}

/** Nothing for what is not chunked, or says so in a way that was complained of already. */
export function locateTable({ annotations = {} }: PartSource): TablePlace | undefined {
  try {
    const { toc, tocDigest } = parseChunkedAnnotations(annotations) ?? {};
    if (!toc || tocDigest === undefined || toc.sizeBytes > CHUNKED_TABLES_MAX_BYTES) return undefined;
    return { position: toc, digest: tocDigest };
  } catch (error) {
    if (error instanceof AgentError) return undefined;
    throw error;
  }
}

/** Hands the bytes on as they are. */
export async function* copyTable(
  chunks: AsyncIterable<Buffer>,
  { position, digest }: TablePlace,
  store: ObjectRepository,
): AsyncGenerator<Buffer> {
  const copy = Buffer.alloc(position.sizeBytes);
  let offset = 0;
  for await (const bytes of chunks) {
    copyOverlap({ offset, bytes }, position, copy);
    offset += bytes.length;
    yield bytes;
  }
  const sha256 = sha256Of(copy);
  if (digest === `sha256:${sha256}`) store.putTable(nameToc(sha256), copy);
}
