/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LLMPROBE_TRACE_BACKEND_H
#define LLMPROBE_TRACE_BACKEND_H

#include <stdint.h>

/* The backend that ggml gives this GUID to; NULL: none that is known. */
const char *backend_of_guid(const uint8_t guid[16]);

#endif
