/* The sha256 of a stream made of bytes and of whole files: one thread reads, another hashes (stream-hash.c). */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct StreamHash StreamHash;

/* NULL where memory or threads are short. */
StreamHash *stream_hash_open(void);
/* Both block while the other thread is behind. The second gives 0 or an errno; EBADMSG for a file of another size. */
void stream_hash_put(StreamHash *hash, const uint8_t *bytes, size_t length);
int stream_hash_put_file(StreamHash *hash, const char *path, uint64_t size);
/* Waits for the rest to be hashed, gives the digest where one is wanted, and frees everything. */
void stream_hash_close(StreamHash *hash, uint8_t *digest);
