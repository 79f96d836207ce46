/* SPDX-License-Identifier: Apache-2.0 */
/* clang's output as messages. */
#ifndef LLMPROBE_BPF_COMPILE_LOG_H
#define LLMPROBE_BPF_COMPILE_LOG_H

#include <stddef.h>

#include "util/diag.h"

/*
 * Adds one message per "file:line:col: severity: text" of the compiler's output, with the source
 * line it quotes, and the lines in no such form as notes or, when they speak of an error, errors.
 */
void compile_log_to_diag(const char *log, size_t len, struct diag *d);

#endif
