/* SPDX-License-Identifier: Apache-2.0 */
/* The running kernel's version; the host passes it to the compiler. */
#ifndef LLMPROBE_STUB_VERSION_H
#define LLMPROBE_STUB_VERSION_H

#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#ifdef LLMPROBE_KERNEL_VERSION
#define LINUX_VERSION_CODE LLMPROBE_KERNEL_VERSION
#else
#define LINUX_VERSION_CODE KERNEL_VERSION(5, 4, 0)
#endif

#endif
