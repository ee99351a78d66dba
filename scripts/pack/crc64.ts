/**
 * The CRC-64 of ISO 3309 as in Go's hash/crc64, which tar-split stores for the content of every file.
 * The 64 bits are two 32-bit halves; only the upper half of a table entry is ever set.
 */

const POLYNOMIAL_HIGH = 0xd8000000;

const TABLE = new Uint32Array(256);
for (let index = 0; index < 256; index++) {
  let high = 0;
  let low = index;
  for (let bit = 0; bit < 8; bit++) {
    const carry = low & 1;
    low = (low >>> 1) | (high << 31);
    high = (high >>> 1) ^ (carry === 1 ? POLYNOMIAL_HIGH : 0);
  }
  TABLE[index] = high;
}

export class Crc64 {
  #high = 0xffffffff | 0;
  #low = 0xffffffff | 0;

  update(bytes: Uint8Array): this {
    let high = this.#high;
    let low = this.#low;
    for (let index = 0; index < bytes.length; index++) {
      const entry = TABLE[(low ^ bytes[index]!) & 0xff]!;
      low = (low >>> 8) | (high << 24);
      high = (high >>> 8) ^ entry;
    }
    this.#high = high;
    this.#low = low;
    return this;
  }

  /** Eight bytes, big endian. */
  digest(): Buffer {
    const sum = Buffer.alloc(8);
    sum.writeUInt32BE(~this.#high >>> 0, 0);
    sum.writeUInt32BE(~this.#low >>> 0, 4);
    return sum;
  }
}
