/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of block devices; operations (REQ_OP_...) are in the kernel's type information. */
#ifndef LLMPROBE_CONST_BLKDEV_H
#define LLMPROBE_CONST_BLKDEV_H

#include <linux/kdev_t.h>

#define SECTOR_SHIFT  9
#define SECTOR_SIZE   (1 << SECTOR_SHIFT)
#define DISK_NAME_LEN 32
#define BDEVNAME_SIZE 32

#endif
