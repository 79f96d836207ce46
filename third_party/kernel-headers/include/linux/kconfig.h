/* SPDX-License-Identifier: Apache-2.0 */
/* libbcc puts this file in front of every program; a kernel's configuration would follow here. */
#ifndef LLMPROBE_STUB_KCONFIG_H
#define LLMPROBE_STUB_KCONFIG_H
#endif
