/* SPDX-License-Identifier: Apache-2.0 */
/* BPF_RINGBUF_OUTPUT and friends count in pages. */
#ifndef LLMPROBE_STUB_PAGE_H
#define LLMPROBE_STUB_PAGE_H

#ifndef LLMPROBE_PAGE_SIZE
#define LLMPROBE_PAGE_SIZE 4096
#endif
#define PAGE_SIZE LLMPROBE_PAGE_SIZE

#endif
