/**
 * Larger memory with the first `usedBytes` of `bytes`, at least twice as much. The old memory is freed at once, which
 * V8 would put off.
 */
export function enlarge(
  bytes: Buffer<ArrayBuffer>,
  usedBytes: number,
  minBytes: number,
): Buffer<ArrayBuffer> {
  const larger = Buffer.alloc(Math.max(2 * bytes.length, minBytes));
  bytes.copy(larger, 0, 0, usedBytes);
  bytes.buffer.transfer(0);
  return larger;
}
