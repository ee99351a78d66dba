/* What sys.c offers beside system calls: lanes (lanes.c) and the fs-verity digest of one buffer. Node-API version 8. */
#ifndef DUTBOOT_LANES_H
#define DUTBOOT_LANES_H
#include <node_api.h>

void define_lanes(napi_env env, napi_value exports);
#endif
