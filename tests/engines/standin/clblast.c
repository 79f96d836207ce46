/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for the matrix products that old ggml gave to CLBlast. */
#include <stddef.h>

#include "standin.h"

void ggml_cl_mul_mat(const void *src0, const void *src1, void *dst, void *wdata, size_t wsize)
{
	if (src0 && src1 && dst && wdata && wsize)
		standin_work(50);
}

void ggml_cl_mul(const void *src0, const void *src1, void *dst)
{
	if (src0 && src1 && dst)
		standin_work(5);
}
