/* SPDX-License-Identifier: Apache-2.0 */
/* States and flags of tasks. */
#ifndef LLMPROBE_CONST_SCHED_H
#define LLMPROBE_CONST_SCHED_H

#define TASK_COMM_LEN 16

#define TASK_RUNNING	     0x0
#define TASK_INTERRUPTIBLE   0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define __TASK_STOPPED	     0x4
#define __TASK_TRACED	     0x8
#define EXIT_DEAD	     0x10
#define EXIT_ZOMBIE	     0x20
#define EXIT_TRACE	     (EXIT_ZOMBIE | EXIT_DEAD)
#define TASK_PARKED	     0x40
#define TASK_DEAD	     0x80
#define TASK_WAKEKILL	     0x100
#define TASK_WAKING	     0x200
#define TASK_NOLOAD	     0x400
#define TASK_NEW	     0x800
#define TASK_KILLABLE	     (TASK_WAKEKILL | TASK_UNINTERRUPTIBLE)
#define TASK_STOPPED	     (TASK_WAKEKILL | __TASK_STOPPED)
#define TASK_TRACED	     __TASK_TRACED
#define TASK_IDLE	     (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)
#define TASK_NORMAL	     (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)

#define PF_VCPU	      0x1
#define PF_IDLE	      0x2
#define PF_EXITING    0x4
#define PF_IO_WORKER  0x10
#define PF_WQ_WORKER  0x20
#define PF_FORKNOEXEC 0x40
#define PF_SUPERPRIV  0x100
#define PF_DUMPCORE   0x200
#define PF_SIGNALED   0x400
#define PF_MEMALLOC   0x800
#define PF_KSWAPD     0x20000
#define PF_KTHREAD    0x200000
#define PF_RANDOMIZE  0x400000

#define MAX_NICE     19
#define MIN_NICE     -20
#define MAX_RT_PRIO  100
#define MAX_PRIO     140
#define DEFAULT_PRIO 120

#endif
