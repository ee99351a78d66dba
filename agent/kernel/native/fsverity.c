/*
 * Computes the fs-verity digest of a stream (fsverity.h) with the sha256 of Node's OpenSSL: one call per megabyte instead of
 * 256 from JavaScript, which cost more than the hashing.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "fsverity.h"
#include <openssl/sha.h>
#include <string.h>

static void hash(const uint8_t *bytes, size_t length, uint8_t digest[VERITY_DIGEST]) {
  SHA256_CTX sha;
  SHA256_Init(&sha);
  SHA256_Update(&sha, bytes, length);
  SHA256_Final(digest, &sha);
}

/*
 * Hashes a full block into its parent only when the next digest arrives. At the end, the topmost level thus holds either a full
 * block, which is hashed, or a single digest, which is the root.
 */
static void add_digest(Verity *verity, uint32_t level, const uint8_t digest[VERITY_DIGEST]) {
  if (level == verity->levels) verity->levels++;
  if (verity->used[level] == VERITY_BLOCK) {
    uint8_t parent[VERITY_DIGEST];
    hash(verity->block[level], VERITY_BLOCK, parent);
    verity->used[level] = 0;
    add_digest(verity, level + 1, parent);
  }
  memcpy(verity->block[level] + verity->used[level], digest, VERITY_DIGEST);
  verity->used[level] += VERITY_DIGEST;
}

static void add_block(Verity *verity, const uint8_t block[VERITY_BLOCK]) {
  uint8_t digest[VERITY_DIGEST];
  hash(block, VERITY_BLOCK, digest);
  add_digest(verity, 0, digest);
}

void verity_update(Verity *verity, const uint8_t *bytes, size_t length) {
  verity->size += length;
  if (verity->tail_used > 0) {
    size_t room = VERITY_BLOCK - verity->tail_used;
    size_t taken = length < room ? length : room;
    memcpy(verity->tail + verity->tail_used, bytes, taken);
    verity->tail_used += taken;
    bytes += taken;
    length -= taken;
    if (verity->tail_used < VERITY_BLOCK) return;
    add_block(verity, verity->tail);
    verity->tail_used = 0;
  }
  for (; length >= VERITY_BLOCK; bytes += VERITY_BLOCK, length -= VERITY_BLOCK) add_block(verity, bytes);
  memcpy(verity->tail, bytes, length);
  verity->tail_used = length;
}

/* The root hash; zero for an empty file. */
static void close_tree(Verity *verity, uint8_t root[VERITY_DIGEST]) {
  memset(root, 0, VERITY_DIGEST);
  for (uint32_t level = 0; level < verity->levels; level++) {
    uint8_t *block = verity->block[level], digest[VERITY_DIGEST];
    uint32_t used = verity->used[level];
    if (level == verity->levels - 1 && used == VERITY_DIGEST) {
      memcpy(root, block, VERITY_DIGEST);
      return;
    }
    memset(block + used, 0, VERITY_BLOCK - used);
    hash(block, VERITY_BLOCK, digest);
    add_digest(verity, level + 1, digest);
  }
}

void verity_finish(Verity *verity, uint8_t digest[VERITY_DIGEST]) {
  /* struct fsverity_descriptor: version 1, sha256 is 1, log2 of the block size, size at 8, root at 16. */
  uint8_t descriptor[256] = {1, 1, 12};
  if (verity->tail_used > 0) {
    memset(verity->tail + verity->tail_used, 0, VERITY_BLOCK - verity->tail_used);
    add_block(verity, verity->tail);
  }
  for (int i = 0; i < 8; i++) descriptor[8 + i] = verity->size >> (8 * i);
  close_tree(verity, descriptor + 16);
  hash(descriptor, sizeof descriptor, digest);
  verity->size = verity->levels = verity->tail_used = 0;
  memset(verity->used, 0, sizeof verity->used);
}
