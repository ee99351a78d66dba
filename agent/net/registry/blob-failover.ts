/**
 * A blob that begins at one place and goes on at the next: what a mirror breaks off need not be fetched twice.
 * Whoever reads it checks the digest of the whole, so it does not matter who sent which part.
 */
import { AgentError } from "../../errors.ts";
import type { ByteRange } from "../http/http-message.ts";

interface OpenedBlob {
  body: AsyncIterable<Buffer>;
  index: number;
}

/** `index` counts places, of which `last` is the last; `openFrom` opens at the first one from there on that has it. */
export async function* failover(
  opened: OpenedBlob,
  {
    last,
    range,
    signal,
    openFrom,
  }: {
    last: number;
    range: ByteRange | undefined;
    signal: AbortSignal | undefined;
    openFrom(from: number, wanted: ByteRange | undefined): Promise<OpenedBlob>;
  },
): AsyncGenerator<Buffer> {
  const end = range?.end;
  let offset = range?.start ?? 0;
  for (let { body, index } = opened; ; ) {
    try {
      for await (const chunk of body) {
        yield chunk;
        offset += chunk.length;
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (index === last || !(error instanceof AgentError)) throw error;
      if (end !== undefined && offset > end) return;
      const isWhole = offset === 0 && range === undefined;
      ({ body, index } = await openFrom(index + 1, isWhole ? undefined : { start: offset, end }));
    }
  }
}
