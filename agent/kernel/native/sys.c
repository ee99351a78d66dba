/*
 * System calls for Node: syscall(nr, ...args) and syscallAsync(nr, ...args), with Node-API version 8 and libc only.
 * Arguments are integers, byte views (the kernel gets their memory), strings (copied, NUL-terminated) or null; the result is
 * the kernel's, or -errno. The wrappers in TypeScript give them types.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include "hash-threads.h"
#include <errno.h>
#include <malloc.h>
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 7 }; /* the number and up to six arguments */

typedef struct {
  long word[WORDS];
  char *copy[WORDS];     /* strings, freed with the call */
  napi_ref view[WORDS];  /* keeps byte views of an async call from the garbage collector */
  long result;
  napi_deferred deferred;
  napi_async_work work;
} Call;

static void release(napi_env env, Call *call) {
  for (int i = 0; i < WORDS; i++) {
    free(call->copy[i]);
    if (call->view[i]) napi_delete_reference(env, call->view[i]);
  }
}

static void run(napi_env env, void *data) {
  Call *call = data;
  long *w = call->word;
  long result = syscall(w[0], w[1], w[2], w[3], w[4], w[5], w[6]);
  call->result = result == -1 ? -errno : result;
}

static const char *read_string(napi_env env, napi_value value, Call *call, int i) {
  size_t length, written;
  napi_get_value_string_utf8(env, value, NULL, 0, &length);
  char *copy = call->copy[i] = malloc(length + 1);
  if (!copy) return "Out of memory for a system call's string";
  napi_get_value_string_utf8(env, value, copy, length + 1, &written);
  /* The kernel would stop at the NUL and use another path. */
  if (memchr(copy, 0, written)) return "A system call's string must not contain a NUL";
  call->word[i] = (long)copy;
  return NULL;
}

static const char *read_word(napi_env env, napi_value value, Call *call, int i, bool keep) {
  napi_valuetype type;
  bool is_view = false, lossless;
  int64_t number;
  napi_typeof(env, value, &type);
  if (type == napi_null) return NULL;
  if (type == napi_string) return read_string(env, value, call, i);
  if (type == napi_number && napi_get_value_int64(env, value, &number) == napi_ok) {
    call->word[i] = number;
    return NULL;
  }
  if (type == napi_bigint && napi_get_value_bigint_int64(env, value, &number, &lossless) == napi_ok) {
    call->word[i] = number; /* a u64 above 2^63 keeps its bits */
    return NULL;
  }
  if (type == napi_object) napi_is_typedarray(env, value, &is_view);
  if (!is_view) return "The arguments of a system call are integers, byte views, strings or null";
  void *bytes;
  napi_get_typedarray_info(env, value, NULL, NULL, &bytes, NULL, NULL);
  if (keep) napi_create_reference(env, value, 1, &call->view[i]);
  call->word[i] = (long)bytes;
  return NULL;
}

/* Fills the call from the arguments; or frees it, throws and returns false. */
static bool read_call(napi_env env, napi_callback_info info, Call *call, bool keep) {
  napi_value values[WORDS];
  size_t count = WORDS;
  const char *fault = NULL;
  memset(call, 0, sizeof *call);
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  if (count < 1 || count > WORDS) fault = "A system call takes a number and up to six arguments";
  for (size_t i = 0; !fault && i < count; i++) fault = read_word(env, values[i], call, i, keep);
  if (!fault) return true;
  release(env, call);
  napi_throw_type_error(env, NULL, fault);
  return false;
}

static napi_value call_now(napi_env env, napi_callback_info info) {
  Call call;
  napi_value result = NULL;
  if (!read_call(env, info, &call, false)) return NULL;
  run(env, &call);
  release(env, &call);
  napi_create_int64(env, call.result, &result);
  return result;
}

static void finish(napi_env env, napi_status status, void *data) {
  Call *call = data;
  napi_value result;
  napi_create_int64(env, status == napi_ok ? call->result : -ECANCELED, &result);
  napi_resolve_deferred(env, call->deferred, result);
  napi_delete_async_work(env, call->work);
  release(env, call);
  free(call);
}

static napi_value call_async(napi_env env, napi_callback_info info) {
  napi_value name, promise = NULL;
  Call *call = malloc(sizeof *call);
  if (!call) return napi_throw_error(env, NULL, "Out of memory for a system call"), NULL;
  if (!read_call(env, info, call, true)) return free(call), NULL;
  napi_create_promise(env, &call->deferred, &promise);
  napi_create_string_utf8(env, "syscall", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, run, finish, call, &call->work);
  napi_queue_async_work(env, call->work);
  return promise;
}

/* trimMemory(): returns freed memory to the kernel; glibc keeps most of it otherwise. */
static napi_value trim_memory(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  malloc_trim(0);
  return NULL;
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor calls[] = {
      {"syscall", NULL, call_now, NULL, NULL, NULL, napi_enumerable, NULL},
      {"syscallAsync", NULL, call_async, NULL, NULL, NULL, napi_enumerable, NULL},
      {"trimMemory", NULL, trim_memory, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof calls / sizeof *calls, calls);
  define_hash_threads(env, exports);
  return exports;
}
