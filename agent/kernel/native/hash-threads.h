/* Adds to sys.node what hash-threads.c offers: hash threads and the fs-verity digest of bytes. Node-API version 8. */
#ifndef DUTBOOT_HASH_THREADS_H
#define DUTBOOT_HASH_THREADS_H
#include <node_api.h>

void define_hash_threads(napi_env env, napi_value exports);
#endif
