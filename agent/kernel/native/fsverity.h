/*
 * The fs-verity digest of a stream: sha256, 4 KiB blocks, no salt (Linux's Documentation/filesystems/fsverity.rst).
 * The same as agent/composefs/fsverity.ts, but fast. The state is plain memory, initially zero.
 */
#ifndef DUTBOOT_FSVERITY_H
#define DUTBOOT_FSVERITY_H
#include <stddef.h>
#include <stdint.h>

enum { VERITY_BLOCK = 4096, VERITY_DIGEST = 32, VERITY_LEVELS = 8 }; /* 128 to the 8th blocks: more than 2^63 bytes */

typedef struct {
  uint64_t size;
  uint32_t levels;
  uint32_t tail_used;
  uint32_t used[VERITY_LEVELS];
  uint8_t tail[VERITY_BLOCK];
  uint8_t block[VERITY_LEVELS][VERITY_BLOCK]; /* of digests, per level */
} Verity;

void verity_update(Verity *verity, const uint8_t *bytes, size_t length);
/* Writes the digest and resets the state. */
void verity_finish(Verity *verity, uint8_t digest[VERITY_DIGEST]);
#endif
