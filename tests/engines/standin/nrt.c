/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for AWS Neuron's libnrt: the functions and arguments of its public header, no device.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "standin.h"

int nrt_init(int framework, const char *fw_version, const char *fal_version)
{
	return framework < 0 || !fw_version || !fal_version;
}

int nrt_load(const void *neff, size_t size, int32_t vnc, int32_t vnc_count, void **model)
{
	standin_work(1000);
	*model = (void *)((uintptr_t)neff + size);
	return vnc < 0 || vnc_count < 1;
}

int nrt_execute(void *model, const void *in, void *out)
{
	standin_work(300);
	return !model || in == out;
}

int nrt_tensor_read(const void *tensor, void *buf, size_t off, size_t size)
{
	memcpy(buf, (const char *)tensor + off, size);
	return 0;
}

int nrt_tensor_write(void *tensor, const void *buf, size_t off, size_t size)
{
	memcpy((char *)tensor + off, buf, size);
	return 0;
}
