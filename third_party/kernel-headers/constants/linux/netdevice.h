/* SPDX-License-Identifier: Apache-2.0 */
/* Names and kinds on a network device. */
#ifndef LLMPROBE_CONST_NETDEVICE_H
#define LLMPROBE_CONST_NETDEVICE_H

#include <linux/if_ether.h>
#include <linux/socket.h>

#define IFNAMSIZ 16

#endif
