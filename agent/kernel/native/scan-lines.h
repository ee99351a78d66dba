/* What sys.c offers for output that is cut into lines (lines.c). Node-API version 8. */
#ifndef DUTBOOT_LINES_H
#define DUTBOOT_LINES_H
#include <node_api.h>

void define_lines(napi_env env, napi_value exports);
#endif
