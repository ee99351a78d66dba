/**
 * Reads a few streams at a time as one, in the order their pieces come; a piece is asked for when there is room for it.
 */

export interface MergeOptions {
  atATime: number;
  signal?: AbortSignal;
}

/**
 * `takeNext` opens another stream, or gives nothing when none waits at the moment; it is asked again whenever a
 * stream has ended. The first failure aborts the other streams and is thrown, as is the signal's reason.
 */
export async function* mergeStreams<Piece>(
  takeNext: (signal: AbortSignal) => AsyncIterable<Piece> | undefined,
  { atATime, signal }: MergeOptions,
): AsyncGenerator<Piece> {
  const stop = new AbortController();
  const anySignal = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const open = new Map<AsyncIterator<Piece>, Promise<Turn<Piece>>>();
  const advance = (stream: AsyncIterator<Piece>) => {
    const turn = stream.next().then((result) => ({ stream, result }));
    // Those that are left behind by another's failure fail too, and nobody asks them any more.
    turn.catch(() => {});
    open.set(stream, turn);
  };
  try {
    for (;;) {
      while (open.size < atATime) {
        const next = takeNext(anySignal);
        if (!next) break;
        advance(next[Symbol.asyncIterator]());
      }
      if (open.size === 0) return;
      const { stream, result } = await Promise.race(open.values());
      open.delete(stream);
      if (result.done) continue;
      // Last in the map, so that the others have their turn.
      advance(stream);
      yield result.value;
    }
  } finally {
    stop.abort();
    for (const stream of open.keys()) void stream.return?.()?.catch(() => {});
  }
}

interface Turn<Piece> {
  stream: AsyncIterator<Piece>;
  result: IteratorResult<Piece>;
}
