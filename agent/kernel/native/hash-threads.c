/*
 * A lane is a thread beside JavaScript's that works through buffers in their order: one kind takes the sha256 of all of them,
 * one that of bytes and files that the buffers name, and one cuts them into files of a folder and takes the digests of each.
 * Typed and explained in lanes.ts.
 * Calls block where a lane is full or has to be waited for: they are for worker threads only.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#define OPENSSL_SUPPRESS_DEPRECATED
#include "hash-threads.h"
#include "fsverity.h"
#include "stream-hash.h"
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
  QUEUE = 3,        /* buffers that wait or are in work: lanes.ts knows it as LANE_QUEUE_BUFFERS */
  READS_QUEUE = 64, /* in a lane that reads, whose buffers stand for much more than they hold: STREAM_QUEUE_BUFFERS */
  PIECE_WORDS = 3,  /* offset, length, and: is it its file's last, or does it name a file? */
  STACK_BYTES = 256 * 1024,
};
/* Instead of a folder: */
enum { HASHES = -1, READS = -2 };
/* Of a piece that names a file: its size, eight bytes little endian, before its path and a NUL. */
enum { SIZE_BYTES = 8 };
/* Files at least this large are sent to the disk as soon as they are whole, so that the last flush finds little to do. */
static const uint64_t EARLY_BYTES = 64 * 1024;

typedef struct {
  const uint8_t *bytes;
  size_t length;
  int32_t *pieces; /* NULL in a lane that hashes */
  size_t piece_count;
  napi_ref view; /* keeps the bytes from the garbage collector */
} Job;

typedef struct {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  Job jobs[READS_QUEUE];
  uint32_t queue; /* how many of them are used */
  uint64_t given, done;
  bool is_ending, is_joined;
  int failure; /* errno of the first one; what comes after it is passed over */
  SHA256_CTX sha; /* of everything, or of the file in work */
  bool takes_sha; /* of each file, too */
  StreamHash *stream; /* of a lane that reads */
  /* A lane that writes: */
  int folder_fd; /* HASHES or READS in the others */
  int fd;        /* the file in work, or -1 */
  uint32_t files;
  Verity verity;
  uint32_t finished, room;      /* files with digests, and places for them */
  uint8_t *verities, *sha256s; /* the second only where they are taken */
} Lane;

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

static bool make_room(Lane *lane) {
  size_t room = lane->room ? 2 * (size_t)lane->room : 1024;
  uint8_t *verities = realloc(lane->verities, VERITY_DIGEST * room);
  if (verities) lane->verities = verities;
  uint8_t *sha256s = lane->takes_sha ? realloc(lane->sha256s, SHA256_DIGEST_LENGTH * room) : NULL;
  if (sha256s) lane->sha256s = sha256s;
  if (!verities || (lane->takes_sha && !sha256s)) return false;
  lane->room = room;
  return true;
}

static int finish_file(Lane *lane) {
  if (lane->verity.size >= EARLY_BYTES) sync_file_range(lane->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  int fd = lane->fd;
  lane->fd = -1;
  if (close(fd) < 0 && errno != EINTR) return errno;
  if (lane->finished == lane->room && !make_room(lane)) return ENOMEM;
  verity_finish(&lane->verity, lane->verities + (size_t)VERITY_DIGEST * lane->finished);
  if (lane->takes_sha) SHA256_Final(lane->sha256s + (size_t)SHA256_DIGEST_LENGTH * lane->finished, &lane->sha);
  lane->finished++;
  return 0;
}

static int take_piece(Lane *lane, const uint8_t *bytes, size_t length, bool is_last) {
  if (lane->fd < 0) {
    char name[16];
    snprintf(name, sizeof name, "%u", lane->files++);
    lane->fd = openat(lane->folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (lane->fd < 0) return errno;
    SHA256_Init(&lane->sha);
  }
  if (lane->takes_sha) SHA256_Update(&lane->sha, bytes, length);
  verity_update(&lane->verity, bytes, length);
  int failure = write_all(lane->fd, bytes, length);
  return failure || !is_last ? failure : finish_file(lane);
}

/* Bounds and the NUL were looked at before (are_pieces_sound). */
static int put_piece(StreamHash *stream, const uint8_t *bytes, size_t length, bool names_file) {
  if (!names_file) {
    stream_hash_put(stream, bytes, length);
    return 0;
  }
  uint64_t size = 0;
  for (int i = SIZE_BYTES - 1; i >= 0; i--) size = size << 8 | bytes[i];
  return stream_hash_put_file(stream, (const char *)bytes + SIZE_BYTES, size);
}

static int do_job(Lane *lane, const Job *job) {
  if (lane->folder_fd == HASHES) SHA256_Update(&lane->sha, job->bytes, job->length);
  int failure = 0;
  for (size_t i = 0; !failure && i < job->piece_count; i++) {
    const int32_t *piece = job->pieces + PIECE_WORDS * i;
    const uint8_t *bytes = job->bytes + piece[0];
    failure = lane->stream ? put_piece(lane->stream, bytes, piece[1], piece[2] != 0)
                           : take_piece(lane, bytes, piece[1], piece[2] != 0);
  }
  return failure;
}

static void *run(void *data) {
  Lane *lane = data;
  pthread_mutex_lock(&lane->lock);
  for (;;) {
    while (lane->done == lane->given && !lane->is_ending) pthread_cond_wait(&lane->changed, &lane->lock);
    if (lane->done == lane->given) break;
    Job *job = &lane->jobs[lane->done % lane->queue];
    bool is_wanted = lane->failure == 0;
    pthread_mutex_unlock(&lane->lock);
    int failure = is_wanted ? do_job(lane, job) : 0;
    free(job->pieces);
    job->pieces = NULL;
    pthread_mutex_lock(&lane->lock);
    if (failure) lane->failure = failure;
    lane->done++;
    pthread_cond_broadcast(&lane->changed);
  }
  pthread_mutex_unlock(&lane->lock);
  return NULL;
}

/* Waits for all that was given; the cleanup hook of a thread of JavaScript that ends in the middle of it, too. */
static void join(void *data) {
  Lane *lane = data;
  if (lane->is_joined) return;
  lane->is_joined = true;
  pthread_mutex_lock(&lane->lock);
  lane->is_ending = true;
  pthread_cond_broadcast(&lane->changed);
  pthread_mutex_unlock(&lane->lock);
  pthread_join(lane->thread, NULL);
  if (lane->fd >= 0) close(lane->fd);
  if (lane->folder_fd >= 0) close(lane->folder_fd);
  lane->fd = -1;
}

static void forget_view(napi_env env, Job *job) {
  if (job->view) napi_delete_reference(env, job->view);
  job->view = NULL;
}

static void end(napi_env env, Lane *lane) {
  if (!lane->is_joined) napi_remove_env_cleanup_hook(env, join, lane);
  join(lane);
  for (uint32_t i = 0; i < lane->queue; i++) forget_view(env, &lane->jobs[i]);
}

static void forget_results(Lane *lane) {
  free(lane->verities);
  free(lane->sha256s);
  lane->verities = lane->sha256s = NULL;
}

static void destroy(napi_env env, void *data, void *hint) {
  (void)hint;
  Lane *lane = data;
  end(env, lane);
  if (lane->stream) stream_hash_close(lane->stream, NULL);
  forget_results(lane);
  free(lane);
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

static bool start_thread(Lane *lane) {
  sigset_t all, before;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  /* Signals are Node's. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failure = pthread_create(&lane->thread, &attributes, run, lane);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return failure == 0;
}

/* openLane(folderFd, HASHES or READS, takesSha256): the lane, which takes the descriptor over, or throws. */
static napi_value open_lane(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result = NULL;
  size_t count = 2;
  int32_t folder_fd;
  bool takes_sha;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (count < 2 || napi_get_value_int32(env, arguments[0], &folder_fd) != napi_ok ||
      napi_get_value_bool(env, arguments[1], &takes_sha) != napi_ok)
    return fail(env, "A lane takes a descriptor and whether it takes sha256 digests");
  Lane *lane = calloc(1, sizeof *lane);
  if (!lane) return fail(env, "Out of memory for a lane");
  pthread_mutex_init(&lane->lock, NULL);
  pthread_cond_init(&lane->changed, NULL);
  SHA256_Init(&lane->sha);
  lane->folder_fd = folder_fd;
  lane->queue = folder_fd == READS ? READS_QUEUE : QUEUE;
  lane->takes_sha = takes_sha;
  lane->fd = -1;
  if (folder_fd == READS && !(lane->stream = stream_hash_open())) return free(lane), fail(env, "Cannot start a lane's thread");
  if (!start_thread(lane)) {
    if (lane->stream) stream_hash_close(lane->stream, NULL);
    return free(lane), fail(env, "Cannot start a lane's thread");
  }
  napi_add_env_cleanup_hook(env, join, lane);
  napi_create_external(env, lane, destroy, NULL, &result);
  return result;
}

static bool are_pieces_sound(const Job *job, const int32_t *pieces, bool may_name_files) {
  for (size_t i = 0; i < job->piece_count; i++) {
    const int32_t *piece = pieces + PIECE_WORDS * i;
    if (piece[0] < 0 || piece[1] < 0 || (size_t)piece[0] + (size_t)piece[1] > job->length) return false;
    bool names_file = may_name_files && piece[2];
    if (names_file && (piece[1] <= SIZE_BYTES || job->bytes[piece[0] + piece[1] - 1] != 0)) return false;
  }
  return true;
}

/* pushLane(lane, bytes, pieces or null): waits for room; 0, or -errno of what has failed so far. */
static napi_value push_lane(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  size_t count = 3, byte_count, piece_words = 0;
  Lane *lane;
  Job job = {0};
  void *bytes, *pieces = NULL;
  napi_valuetype type;
  napi_typedarray_type kind;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (count < 3 || napi_get_value_external(env, arguments[0], (void **)&lane) != napi_ok || lane->is_joined ||
      napi_get_typedarray_info(env, arguments[1], &kind, &byte_count, &bytes, NULL, NULL) != napi_ok || kind != napi_uint8_array)
    return fail(env, "A lane that is open takes bytes and pieces");
  job.bytes = bytes;
  job.length = byte_count;
  napi_typeof(env, arguments[2], &type);
  if (type != napi_null) {
    if (napi_get_typedarray_info(env, arguments[2], &kind, &piece_words, &pieces, NULL, NULL) != napi_ok ||
        kind != napi_int32_array || lane->folder_fd == HASHES)
      return fail(env, "Pieces are 32-bit integers, for a lane that writes or reads");
    job.piece_count = piece_words / PIECE_WORDS;
    if (!are_pieces_sound(&job, pieces, lane->folder_fd == READS)) return fail(env, "A piece lies outside of its bytes");
    job.pieces = malloc(job.piece_count * PIECE_WORDS * sizeof(int32_t) + 1);
    if (!job.pieces) return fail(env, "Out of memory for a lane's pieces");
    memcpy(job.pieces, pieces, job.piece_count * PIECE_WORDS * sizeof(int32_t));
  }
  napi_create_reference(env, arguments[1], 1, &job.view);
  pthread_mutex_lock(&lane->lock);
  while (lane->given - lane->done == lane->queue) pthread_cond_wait(&lane->changed, &lane->lock);
  Job *place = &lane->jobs[lane->given % lane->queue];
  forget_view(env, place);
  *place = job;
  lane->given++;
  int failure = lane->failure;
  pthread_cond_broadcast(&lane->changed);
  pthread_mutex_unlock(&lane->lock);
  return number(env, -failure);
}

/*
 * endLane(lane): waits for all that was given and ends the thread. -errno, or a buffer: the sha256 of everything, or the
 * fs-verity digests of all files and then, where they are taken, their sha256 digests. May be called again, for nothing.
 */
static napi_value end_lane(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL;
  size_t count = 1;
  Lane *lane;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (count < 1 || napi_get_value_external(env, argument, (void **)&lane) != napi_ok) return fail(env, "endLane takes a lane");
  if (lane->is_joined) return number(env, 0);
  bool writes = lane->folder_fd >= 0;
  end(env, lane);
  if (lane->failure) return number(env, -lane->failure);
  uint8_t digest[SHA256_DIGEST_LENGTH], *bytes = NULL;
  if (!writes) {
    if (lane->stream) stream_hash_close(lane->stream, digest);
    else SHA256_Final(digest, &lane->sha);
    lane->stream = NULL;
    napi_create_buffer_copy(env, sizeof digest, digest, NULL, &result);
    return result;
  }
  size_t size = (size_t)VERITY_DIGEST * lane->finished;
  napi_create_buffer(env, lane->takes_sha ? 2 * size : size, (void **)&bytes, &result);
  if (bytes && size) memcpy(bytes, lane->verities, size);
  if (bytes && size && lane->takes_sha) memcpy(bytes + size, lane->sha256s, size);
  forget_results(lane);
  return result;
}

/* updateVerity(state, bytes): `state` is VERITY_STATE_BYTES, zero at first. finishVerity(state, digest) makes it zero again. */
static napi_value update_verity(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2, state_size, length;
  void *state, *bytes;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (count < 2 || napi_get_typedarray_info(env, arguments[0], NULL, &state_size, &state, NULL, NULL) != napi_ok ||
      napi_get_typedarray_info(env, arguments[1], NULL, &length, &bytes, NULL, NULL) != napi_ok || state_size < sizeof(Verity))
    return fail(env, "updateVerity takes its state and bytes");
  verity_update(state, bytes, length);
  return NULL;
}

static napi_value finish_verity(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2, state_size, length;
  void *state, *digest;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  if (count < 2 || napi_get_typedarray_info(env, arguments[0], NULL, &state_size, &state, NULL, NULL) != napi_ok ||
      napi_get_typedarray_info(env, arguments[1], NULL, &length, &digest, NULL, NULL) != napi_ok || state_size < sizeof(Verity) ||
      length < VERITY_DIGEST)
    return fail(env, "finishVerity takes its state and room for a digest");
  verity_finish(state, digest);
  return NULL;
}

void define_lanes(napi_env env, napi_value exports) {
  const napi_property_descriptor calls[] = {
      {"openLane", NULL, open_lane, NULL, NULL, NULL, napi_enumerable, NULL},
      {"pushLane", NULL, push_lane, NULL, NULL, NULL, napi_enumerable, NULL},
      {"endLane", NULL, end_lane, NULL, NULL, NULL, napi_enumerable, NULL},
      {"updateVerity", NULL, update_verity, NULL, NULL, NULL, napi_enumerable, NULL},
      {"finishVerity", NULL, finish_verity, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof calls / sizeof *calls, calls);
}
