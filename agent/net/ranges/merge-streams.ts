/**
 * Reads several streams at a time as one stream, in the order in which their pieces arrive.
 */

interface Turn<Piece> {
  stream: AsyncIterator<Piece>;
  result: IteratorResult<Piece>;
}

/**
 * `openNext` opens another stream, or returns undefined when none is waiting; it is called again whenever a stream has ended.
 * The first failure aborts the other streams and is thrown, as is the signal's reason.
 */
export async function* mergeStreams<Piece>(
  openNext: (signal: AbortSignal) => AsyncIterable<Piece> | undefined,
  { atATime, signal }: { atATime: number; signal?: AbortSignal },
): AsyncGenerator<Piece> {
  const stop = new AbortController();
  const anySignal = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const open = new Map<AsyncIterator<Piece>, Promise<Turn<Piece>>>();
  const advance = (stream: AsyncIterator<Piece>) => {
    const turn = stream.next().then((result) => ({ stream, result }));
    // After the first failure the others fail too, unobserved.
    turn.catch(() => {});
    open.set(stream, turn);
  };
  try {
    for (;;) {
      while (open.size < atATime) {
        const next = openNext(anySignal);
        if (!next) break;
        advance(next[Symbol.asyncIterator]());
      }
      if (open.size === 0) return;
      const { stream, result } = await Promise.race(open.values());
      open.delete(stream);
      if (result.done) continue;
      // Adds the stream at the end of the map, so that the others have their turn.
      advance(stream);
      yield result.value;
    }
  } finally {
    stop.abort();
    for (const stream of open.keys()) void stream.return?.()?.catch(() => {});
  }
}
