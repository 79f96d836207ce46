/* SPDX-License-Identifier: Apache-2.0 */
/* Device numbers inside the kernel. */
#ifndef LLMPROBE_CONST_KDEV_T_H
#define LLMPROBE_CONST_KDEV_T_H

#define MINORBITS     20
#define MINORMASK     ((1 << MINORBITS) - 1)
#define MAJOR(dev)    ((dev) >> MINORBITS)
#define MINOR(dev)    ((dev)&MINORMASK)
#define MKDEV(ma, mi) (((ma) << MINORBITS) | (mi))

#endif
