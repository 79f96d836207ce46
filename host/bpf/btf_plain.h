/* SPDX-License-Identifier: Apache-2.0 */
/* A newer kernel's type information, made readable for an older libbpf. */
#ifndef LLMPROBE_BPF_BTF_PLAIN_H
#define LLMPROBE_BPF_BTF_PLAIN_H

#include <stddef.h>

/*
 * Changes, in the raw BTF of `len` bytes at `data`, the kinds that libbpf before 1.0 refuses to
 * kinds of the same size that it knows, so that every id stays: type tags become const, declaration
 * tags unnamed integers, 64-bit enums unions of void. Structs, typedefs and functions are not
 * touched. Nothing outside `len` is read. Returns 0, or -EINVAL for bytes that are no BTF or have a
 * kind that is not known here either.
 */
int btf_plain(void *data, size_t len);

#endif
