/* SPDX-License-Identifier: Apache-2.0 */
/* Modes of files inside the kernel. */
#ifndef LLMPROBE_CONST_FS_H
#define LLMPROBE_CONST_FS_H

#include <linux/kdev_t.h>
#include <linux/stat.h>
#include <linux/fcntl.h>
#include <linux/limits.h>

#define MAY_EXEC   0x1
#define MAY_WRITE  0x2
#define MAY_READ   0x4
#define MAY_APPEND 0x8
#define MAY_ACCESS 0x10
#define MAY_OPEN   0x20

#define FMODE_READ  0x1
#define FMODE_WRITE 0x2
#define FMODE_LSEEK 0x4
#define FMODE_EXEC  0x20

#define S_IRWXUGO (S_IRWXU | S_IRWXG | S_IRWXO)

#endif
