/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of 4 KiB, and flags of mappings. */
#ifndef LLMPROBE_CONST_MM_H
#define LLMPROBE_CONST_MM_H

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1 << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define VM_READ	      0x1
#define VM_WRITE      0x2
#define VM_EXEC	      0x4
#define VM_SHARED     0x8
#define VM_MAYREAD    0x10
#define VM_MAYWRITE   0x20
#define VM_MAYEXEC    0x40
#define VM_MAYSHARE   0x80
#define VM_GROWSDOWN  0x100
#define VM_PFNMAP     0x400
#define VM_LOCKED     0x2000
#define VM_IO	      0x4000
#define VM_DONTCOPY   0x20000
#define VM_DONTEXPAND 0x40000
#define VM_HUGETLB    0x400000

#endif
