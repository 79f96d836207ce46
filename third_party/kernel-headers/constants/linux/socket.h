/* SPDX-License-Identifier: Apache-2.0 */
/* Address and protocol families, as the socket system calls number them. */
#ifndef LLMPROBE_CONST_SOCKET_H
#define LLMPROBE_CONST_SOCKET_H

#define AF_UNSPEC    0
#define AF_UNIX	     1
#define AF_LOCAL     1
#define AF_INET	     2
#define AF_AX25	     3
#define AF_IPX	     4
#define AF_APPLETALK 5
#define AF_BRIDGE    7
#define AF_X25	     9
#define AF_INET6     10
#define AF_KEY	     15
#define AF_NETLINK   16
#define AF_ROUTE     16
#define AF_PACKET    17
#define AF_RDS	     21
#define AF_PPPOX     24
#define AF_IB	     27
#define AF_CAN	     29
#define AF_TIPC	     30
#define AF_BLUETOOTH 31
#define AF_ALG	     38
#define AF_VSOCK     40
#define AF_XDP	     44

#define PF_UNSPEC  AF_UNSPEC
#define PF_UNIX	   AF_UNIX
#define PF_LOCAL   AF_LOCAL
#define PF_INET	   AF_INET
#define PF_INET6   AF_INET6
#define PF_NETLINK AF_NETLINK
#define PF_PACKET  AF_PACKET
#define PF_VSOCK   AF_VSOCK

#define MSG_OOB	      0x1
#define MSG_PEEK      0x2
#define MSG_DONTROUTE 0x4
#define MSG_CTRUNC    0x8
#define MSG_TRUNC     0x20
#define MSG_DONTWAIT  0x40
#define MSG_EOR	      0x80
#define MSG_WAITALL   0x100
#define MSG_NOSIGNAL  0x4000
#define MSG_MORE      0x8000
#define MSG_ZEROCOPY  0x4000000

#define SOL_SOCKET 1
#define SOMAXCONN  4096

#endif
