/*
 * Threads beside JavaScript's that process buffers in order: a hash thread takes the sha256 of all bytes, and of files that
 * the buffers name; a file thread cuts them into files of a folder and takes the digests of each file. Typed and documented in
 * hash-threads.ts.
 * Calls block while a thread's queue is full or it has to be waited for: use them in worker threads only.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#define OPENSSL_SUPPRESS_DEPRECATED
#include "hash-threads.h"
#include "fsverity.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  QUEUE = 3,       /* buffers that wait or are in work: QUEUE_BUFFERS in hash-threads.ts */
  PIECE_WORDS = 3, /* offset, length, flags */
  LAST = 1,        /* the last piece of its file; for a hash thread: names a file */
  HOLE = 2,        /* zeros, which the buffer does not have */
  SIZE_BYTES = 8,  /* a piece that names a file: its size, little endian, its path and a NUL */
  READ_BYTES = 256 * 1024,
  STACK_BYTES = 256 * 1024,
  NO_FOLDER = -1, /* instead of a descriptor: a hash thread */
};
/* Writeback of files of at least this size starts when they are complete, so that the final flush is short. */
static const uint64_t EARLY_BYTES = 64 * 1024;

typedef struct {
  const uint8_t *bytes;
  size_t length;
  int32_t *pieces; /* NULL: all bytes, for a hash thread */
  size_t piece_count;
  napi_ref view; /* keeps the bytes from the garbage collector */
} Job;

typedef struct {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  Job jobs[QUEUE];
  uint64_t pushed, done;
  bool is_ending, is_joined;
  int failure;     /* errno of the first failure; later jobs are skipped */
  SHA256_CTX sha;  /* of all bytes, or of the current file */
  bool takes_sha;  /* of each file, too */
  uint8_t *buffer; /* of a hash thread that reads files */
  /* File thread only: */
  int folder_fd;
  int fd; /* of the current file, or -1 */
  uint32_t files;
  Verity verity;
  uint32_t finished, capacity; /* files with digests, and room for digests */
  uint8_t *verities, *sha256s; /* the second is NULL unless takes_sha */
} HashThread;

static int write_all(int fd, const uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes += written;
    length -= written;
  }
  return 0;
}

static bool grow(HashThread *thread) {
  size_t capacity = thread->capacity ? 2 * (size_t)thread->capacity : 1024;
  uint8_t *verities = realloc(thread->verities, VERITY_DIGEST * capacity);
  if (verities) thread->verities = verities;
  uint8_t *sha256s = thread->takes_sha ? realloc(thread->sha256s, SHA256_DIGEST_LENGTH * capacity) : NULL;
  if (sha256s) thread->sha256s = sha256s;
  if (!verities || (thread->takes_sha && !sha256s)) return false;
  thread->capacity = capacity;
  return true;
}

static int finish_file(HashThread *thread) {
  if (thread->verity.size >= EARLY_BYTES) sync_file_range(thread->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  int fd = thread->fd;
  thread->fd = -1;
  if (close(fd) < 0 && errno != EINTR) return errno;
  if (thread->finished == thread->capacity && !grow(thread)) return ENOMEM;
  verity_finish(&thread->verity, thread->verities + (size_t)VERITY_DIGEST * thread->finished);
  if (thread->takes_sha) SHA256_Final(thread->sha256s + (size_t)SHA256_DIGEST_LENGTH * thread->finished, &thread->sha);
  thread->finished++;
  return 0;
}

static int write_hole(HashThread *thread, size_t length) {
  static const uint8_t zeros[64 * 1024];
  for (size_t left = length, part; left > 0; left -= part) {
    part = left < sizeof zeros ? left : sizeof zeros;
    if (thread->takes_sha) SHA256_Update(&thread->sha, zeros, part);
    verity_update(&thread->verity, zeros, part);
  }
  off_t end = lseek(thread->fd, length, SEEK_CUR);
  return end < 0 || ftruncate(thread->fd, end) < 0 ? errno : 0;
}

static int write_piece(HashThread *thread, const uint8_t *bytes, size_t length, int32_t flags) {
  int failure = 0;
  if (thread->fd < 0) {
    char name[16];
    snprintf(name, sizeof name, "%u", thread->files++);
    thread->fd = openat(thread->folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (thread->fd < 0) return errno;
    SHA256_Init(&thread->sha);
  }
  if (flags & HOLE) failure = write_hole(thread, length);
  else {
    if (thread->takes_sha) SHA256_Update(&thread->sha, bytes, length);
    verity_update(&thread->verity, bytes, length);
    failure = write_all(thread->fd, bytes, length);
  }
  return failure || !(flags & LAST) ? failure : finish_file(thread);
}

/* EBADMSG for a file of another size. */
static int hash_file(HashThread *thread, const uint8_t *piece) {
  uint64_t left;
  uint8_t more;
  int failure = 0;
  memcpy(&left, piece, SIZE_BYTES);
  if (!thread->buffer && !(thread->buffer = malloc(READ_BYTES))) return ENOMEM;
  int fd = open((const char *)piece + SIZE_BYTES, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return errno;
  while (!failure && left > 0) {
    ssize_t length = read(fd, thread->buffer, left < READ_BYTES ? left : READ_BYTES);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) failure = length < 0 ? errno : EBADMSG;
    else SHA256_Update(&thread->sha, thread->buffer, length), left -= length;
  }
  if (!failure && read(fd, &more, 1) != 0) failure = EBADMSG;
  close(fd);
  return failure;
}

static int hash_piece(HashThread *thread, const uint8_t *bytes, size_t length, bool names_file) {
  if (names_file) return hash_file(thread, bytes);
  SHA256_Update(&thread->sha, bytes, length);
  return 0;
}

static int do_job(HashThread *thread, const Job *job) {
  if (!job->pieces) SHA256_Update(&thread->sha, job->bytes, job->length);
  int failure = 0;
  for (size_t i = 0; !failure && i < job->piece_count; i++) {
    const int32_t *piece = job->pieces + PIECE_WORDS * i;
    const uint8_t *bytes = job->bytes + piece[0];
    failure = thread->folder_fd == NO_FOLDER ? hash_piece(thread, bytes, piece[1], piece[2] != 0)
                                             : write_piece(thread, bytes, piece[1], piece[2]);
  }
  return failure;
}

static void *run(void *data) {
  HashThread *thread = data;
  pthread_mutex_lock(&thread->lock);
  for (;;) {
    while (thread->done == thread->pushed && !thread->is_ending) pthread_cond_wait(&thread->changed, &thread->lock);
    if (thread->done == thread->pushed) break;
    Job *job = &thread->jobs[thread->done % QUEUE];
    bool is_wanted = thread->failure == 0;
    pthread_mutex_unlock(&thread->lock);
    int failure = is_wanted ? do_job(thread, job) : 0;
    free(job->pieces);
    job->pieces = NULL;
    pthread_mutex_lock(&thread->lock);
    if (failure) thread->failure = failure;
    thread->done++;
    pthread_cond_broadcast(&thread->changed);
  }
  pthread_mutex_unlock(&thread->lock);
  return NULL;
}

/* Waits for all pushed buffers. Also the cleanup hook, for a JavaScript thread that ends in the middle of its work. */
static void join(void *data) {
  HashThread *thread = data;
  if (thread->is_joined) return;
  thread->is_joined = true;
  pthread_mutex_lock(&thread->lock);
  thread->is_ending = true;
  pthread_cond_broadcast(&thread->changed);
  pthread_mutex_unlock(&thread->lock);
  pthread_join(thread->thread, NULL);
  if (thread->fd >= 0) close(thread->fd);
  if (thread->folder_fd >= 0) close(thread->folder_fd);
  thread->fd = -1;
}

static void release_view(napi_env env, Job *job) {
  if (job->view) napi_delete_reference(env, job->view);
  job->view = NULL;
}

static void end(napi_env env, HashThread *thread) {
  if (!thread->is_joined) napi_remove_env_cleanup_hook(env, join, thread);
  join(thread);
  for (uint32_t i = 0; i < QUEUE; i++) release_view(env, &thread->jobs[i]);
}

static void free_digests(HashThread *thread) {
  free(thread->verities);
  free(thread->sha256s);
  thread->verities = thread->sha256s = NULL;
}

static void destroy(napi_env env, void *data, void *hint) {
  (void)hint;
  HashThread *thread = data;
  end(env, thread);
  free_digests(thread);
  free(thread->buffer);
  free(thread);
}

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

static napi_value fail(napi_env env, const char *why) {
  napi_throw_type_error(env, NULL, why);
  return NULL;
}

static bool create_thread(HashThread *thread) {
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  /* Node's threads handle the signals. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failure = pthread_create(&thread->thread, &attributes, run, thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return failure == 0;
}

/* startThread(folderFd or NO_FOLDER, takesSha256): the thread, which takes ownership of the descriptor, or throws. */
static napi_value start_thread(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result = NULL;
  size_t count = 2;
  int32_t folder_fd;
  bool takes_sha;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (count < 2 || napi_get_value_int32(env, arguments[0], &folder_fd) != napi_ok ||
      napi_get_value_bool(env, arguments[1], &takes_sha) != napi_ok)
    return fail(env, "startThread expects a descriptor and a boolean");
  HashThread *thread = calloc(1, sizeof *thread);
  if (!thread) return fail(env, "Out of memory for a hash thread");
  pthread_mutex_init(&thread->lock, NULL);
  pthread_cond_init(&thread->changed, NULL);
  SHA256_Init(&thread->sha);
  thread->folder_fd = folder_fd;
  thread->takes_sha = takes_sha;
  thread->fd = -1;
  if (!create_thread(thread)) return free(thread), fail(env, "Cannot start a hash thread");
  napi_add_env_cleanup_hook(env, join, thread);
  napi_create_external(env, thread, destroy, NULL, &result);
  return result;
}

static bool are_pieces_valid(const int32_t *pieces, const Job *job, bool may_name_files) {
  for (size_t i = 0; i < job->piece_count; i++) {
    const int32_t *piece = pieces + PIECE_WORDS * i;
    if (piece[0] == 0 && piece[1] > 0 && (piece[2] & HOLE) && !may_name_files) continue;
    if (piece[0] < 0 || piece[1] < 0 || (size_t)piece[0] + (size_t)piece[1] > job->length) return false;
    bool names_file = may_name_files && piece[2];
    if (names_file && (piece[1] <= SIZE_BYTES || job->bytes[piece[0] + piece[1] - 1] != 0)) return false;
  }
  return true;
}

/* pushBuffer(thread, bytes, pieces or null): waits for room; 0, or -errno of the first failure so far. */
static napi_value push_buffer(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, piece_words = 0;
  HashThread *thread;
  Job job = {0};
  void *pieces = NULL;
  napi_valuetype type;
  napi_typedarray_type kind;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (count < 3 || napi_get_value_external(env, arguments[0], (void **)&thread) != napi_ok || thread->is_joined ||
      napi_get_typedarray_info(env, arguments[1], &kind, &job.length, (void **)&job.bytes, NULL, NULL) != napi_ok ||
      kind != napi_uint8_array)
    return fail(env, "pushBuffer expects a running thread, bytes and pieces");
  napi_typeof(env, arguments[2], &type);
  if (type != napi_null) {
    if (napi_get_typedarray_info(env, arguments[2], &kind, &piece_words, &pieces, NULL, NULL) != napi_ok ||
        kind != napi_int32_array)
      return fail(env, "pushBuffer expects pieces as an Int32Array");
    job.piece_count = piece_words / PIECE_WORDS;
    if (!are_pieces_valid(pieces, &job, thread->folder_fd == NO_FOLDER)) return fail(env, "A piece exceeds its buffer");
    job.pieces = malloc(job.piece_count * PIECE_WORDS * sizeof(int32_t) + 1);
    if (!job.pieces) return fail(env, "Out of memory for the pieces of a buffer");
    memcpy(job.pieces, pieces, job.piece_count * PIECE_WORDS * sizeof(int32_t));
  }
  napi_create_reference(env, arguments[1], 1, &job.view);
  pthread_mutex_lock(&thread->lock);
  while (thread->pushed - thread->done == QUEUE) pthread_cond_wait(&thread->changed, &thread->lock);
  Job *slot = &thread->jobs[thread->pushed % QUEUE];
  release_view(env, slot);
  *slot = job;
  thread->pushed++;
  int failure = thread->failure;
  pthread_cond_broadcast(&thread->changed);
  pthread_mutex_unlock(&thread->lock);
  return number(env, -failure);
}

/*
 * endThread(thread): waits for all pushed buffers and ends the thread. Returns -errno, or a buffer: the sha256 of all bytes,
 * or the fs-verity digests of all files followed, with takesSha256, by their sha256 digests. A second call returns 0.
 */
static napi_value end_thread(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL;
  size_t count = 1;
  HashThread *thread;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (count < 1 || napi_get_value_external(env, argument, (void **)&thread) != napi_ok)
    return fail(env, "endThread expects a thread");
  if (thread->is_joined) return number(env, 0);
  bool writes = thread->folder_fd >= 0;
  end(env, thread);
  if (thread->failure) return number(env, -thread->failure);
  uint8_t digest[SHA256_DIGEST_LENGTH], *bytes = NULL;
  if (!writes) {
    SHA256_Final(digest, &thread->sha);
    napi_create_buffer_copy(env, sizeof digest, digest, NULL, &result);
    return result;
  }
  size_t size = (size_t)VERITY_DIGEST * thread->finished;
  napi_create_buffer(env, thread->takes_sha ? 2 * size : size, (void **)&bytes, &result);
  if (bytes && size) memcpy(bytes, thread->verities, size);
  if (bytes && size && thread->takes_sha) memcpy(bytes + size, thread->sha256s, size);
  free_digests(thread);
  return result;
}

static bool read_views(napi_env env, napi_callback_info info, void *bytes[2], size_t lengths[2]) {
  napi_value arguments[2];
  size_t count = 2;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  for (size_t i = 0; i < 2; i++)
    if (i >= count || napi_get_typedarray_info(env, arguments[i], NULL, &lengths[i], &bytes[i], NULL, NULL) != napi_ok)
      return false;
  return true;
}

/* updateVerity(state, bytes): `state` is at least sizeof(Verity) bytes, initially zero. */
static napi_value update_verity(napi_env env, napi_callback_info info) {
  void *bytes[2];
  size_t lengths[2];
  if (!read_views(env, info, bytes, lengths) || lengths[0] < sizeof(Verity))
    return fail(env, "updateVerity expects its state and bytes");
  verity_update(bytes[0], bytes[1], lengths[1]);
  return NULL;
}

/* finishVerity(state, digest): writes the digest and resets the state. */
static napi_value finish_verity(napi_env env, napi_callback_info info) {
  void *bytes[2];
  size_t lengths[2];
  if (!read_views(env, info, bytes, lengths) || lengths[0] < sizeof(Verity) || lengths[1] < VERITY_DIGEST)
    return fail(env, "finishVerity expects its state and room for a digest");
  verity_finish(bytes[0], bytes[1]);
  return NULL;
}

void define_hash_threads(napi_env env, napi_value exports) {
  const napi_property_descriptor calls[] = {
      {"startThread", NULL, start_thread, NULL, NULL, NULL, napi_enumerable, NULL},
      {"pushBuffer", NULL, push_buffer, NULL, NULL, NULL, napi_enumerable, NULL},
      {"endThread", NULL, end_thread, NULL, NULL, NULL, napi_enumerable, NULL},
      {"updateVerity", NULL, update_verity, NULL, NULL, NULL, napi_enumerable, NULL},
      {"finishVerity", NULL, finish_verity, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof calls / sizeof *calls, calls);
}
