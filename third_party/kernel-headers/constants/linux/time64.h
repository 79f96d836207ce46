/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a second. */
#ifndef LLMPROBE_CONST_TIME64_H
#define LLMPROBE_CONST_TIME64_H

#define MSEC_PER_SEC  1000
#define USEC_PER_MSEC 1000
#define NSEC_PER_USEC 1000
#define NSEC_PER_MSEC 1000000
#define USEC_PER_SEC  1000000
#define NSEC_PER_SEC  1000000000

#endif
