/* SPDX-License-Identifier: Apache-2.0 */
/* libbcc asks for this file; packet programs are none of our business. */
#ifndef LLMPROBE_STUB_IF_PACKET_H
#define LLMPROBE_STUB_IF_PACKET_H
#endif
