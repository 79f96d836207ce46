/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/code.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted must encode to the very bytes it came from. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bpf_code *code = bpf_code_decode(data, size);
	struct buf b = {0};

	if (!code)
		return 0;
	bpf_code_encode(code, &b);
	if (b.len > size)
		abort();
	buf_free(&b);
	bpf_code_free(code);
	return 0;
}
