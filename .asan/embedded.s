	.section .rodata
.Lp0:
	.asciz "host/trace/schema.sql"
.Ld0:
	.incbin "/work/wt/config/host/trace/schema.sql"
.Le0:
	.byte 0
.Lp1:
	.asciz "probes/common.h"
.Ld1:
	.incbin "/work/wt/config/probes/common.h"
.Le1:
	.byte 0
.Lp2:
	.asciz "probes/expert.c"
.Ld2:
	.incbin "/work/wt/config/probes/expert.c"
.Le2:
	.byte 0
.Lp3:
	.asciz "probes/graph.c"
.Ld3:
	.incbin "/work/wt/config/probes/graph.c"
.Le3:
	.byte 0
.Lp4:
	.asciz "probes/operator.c"
.Ld4:
	.incbin "/work/wt/config/probes/operator.c"
.Le4:
	.byte 0
.Lp5:
	.asciz "probes/record.h"
.Ld5:
	.incbin "/work/wt/config/probes/record.h"
.Le5:
	.byte 0
.Lp6:
	.asciz "probes/scheduler.c"
.Ld6:
	.incbin "/work/wt/config/probes/scheduler.c"
.Le6:
	.byte 0
.Lp7:
	.asciz "probes/state.h"
.Ld7:
	.incbin "/work/wt/config/probes/state.h"
.Le7:
	.byte 0
.Lp8:
	.asciz "probes/token.c"
.Ld8:
	.incbin "/work/wt/config/probes/token.c"
.Le8:
	.byte 0
.Lp9:
	.asciz "probes/walk.c"
.Ld9:
	.incbin "/work/wt/config/probes/walk.c"
.Le9:
	.byte 0
.Lp10:
	.asciz "third_party/kernel-headers/include/asm/page.h"
.Ld10:
	.incbin "/work/wt/config/third_party/kernel-headers/include/asm/page.h"
.Le10:
	.byte 0
.Lp11:
	.asciz "third_party/kernel-headers/include/linux/bpf_common.h"
.Ld11:
	.incbin "/work/wt/config/third_party/kernel-headers/include/linux/bpf_common.h"
.Le11:
	.byte 0
.Lp12:
	.asciz "third_party/kernel-headers/include/linux/kconfig.h"
.Ld12:
	.incbin "/work/wt/config/third_party/kernel-headers/include/linux/kconfig.h"
.Le12:
	.byte 0
.Lp13:
	.asciz "third_party/kernel-headers/include/linux/log2.h"
.Ld13:
	.incbin "/work/wt/config/third_party/kernel-headers/include/linux/log2.h"
.Le13:
	.byte 0
.Lp14:
	.asciz "third_party/kernel-headers/include/linux/ptrace.h"
.Ld14:
	.incbin "/work/wt/config/third_party/kernel-headers/include/linux/ptrace.h"
.Le14:
	.byte 0
.Lp15:
	.asciz "third_party/kernel-headers/include/linux/sched.h"
.Ld15:
	.incbin "/work/wt/config/third_party/kernel-headers/include/linux/sched.h"
.Le15:
	.byte 0
.Lp16:
	.asciz "third_party/kernel-headers/include/linux/types.h"
.Ld16:
	.incbin "/work/wt/config/third_party/kernel-headers/include/linux/types.h"
.Le16:
	.byte 0
.Lp17:
	.asciz "third_party/kernel-headers/include/linux/version.h"
.Ld17:
	.incbin "/work/wt/config/third_party/kernel-headers/include/linux/version.h"
.Le17:
	.byte 0
.Lp18:
	.asciz "third_party/kernel-headers/include/uapi/linux/bpf.h"
.Ld18:
	.incbin "/work/wt/config/third_party/kernel-headers/include/uapi/linux/bpf.h"
.Le18:
	.byte 0
.Lp19:
	.asciz "third_party/kernel-headers/include/uapi/linux/bpf_perf_event.h"
.Ld19:
	.incbin "/work/wt/config/third_party/kernel-headers/include/uapi/linux/bpf_perf_event.h"
.Le19:
	.byte 0
.Lp20:
	.asciz "third_party/kernel-headers/include/uapi/linux/if_packet.h"
.Ld20:
	.incbin "/work/wt/config/third_party/kernel-headers/include/uapi/linux/if_packet.h"
.Le20:
	.byte 0
.Lp21:
	.asciz "third_party/kernel-headers/include/uapi/linux/ptrace.h"
.Ld21:
	.incbin "/work/wt/config/third_party/kernel-headers/include/uapi/linux/ptrace.h"
.Le21:
	.byte 0
.Lp22:
	.asciz "yaml/engines/ggml-backend.yaml"
.Ld22:
	.incbin "/work/wt/config/yaml/engines/ggml-backend.yaml"
.Le22:
	.byte 0
.Lp23:
	.asciz "yaml/engines/ggml-cpu.yaml"
.Ld23:
	.incbin "/work/wt/config/yaml/engines/ggml-cpu.yaml"
.Le23:
	.byte 0
.Lp24:
	.asciz "yaml/engines/llama.yaml"
.Ld24:
	.incbin "/work/wt/config/yaml/engines/llama.yaml"
.Le24:
	.byte 0

	.section .data.rel.ro,"aw"
	.balign 8
	.globl embedded_files
embedded_files:
	.quad .Lp0, .Ld0, .Le0 - .Ld0
	.quad .Lp1, .Ld1, .Le1 - .Ld1
	.quad .Lp2, .Ld2, .Le2 - .Ld2
	.quad .Lp3, .Ld3, .Le3 - .Ld3
	.quad .Lp4, .Ld4, .Le4 - .Ld4
	.quad .Lp5, .Ld5, .Le5 - .Ld5
	.quad .Lp6, .Ld6, .Le6 - .Ld6
	.quad .Lp7, .Ld7, .Le7 - .Ld7
	.quad .Lp8, .Ld8, .Le8 - .Ld8
	.quad .Lp9, .Ld9, .Le9 - .Ld9
	.quad .Lp10, .Ld10, .Le10 - .Ld10
	.quad .Lp11, .Ld11, .Le11 - .Ld11
	.quad .Lp12, .Ld12, .Le12 - .Ld12
	.quad .Lp13, .Ld13, .Le13 - .Ld13
	.quad .Lp14, .Ld14, .Le14 - .Ld14
	.quad .Lp15, .Ld15, .Le15 - .Ld15
	.quad .Lp16, .Ld16, .Le16 - .Ld16
	.quad .Lp17, .Ld17, .Le17 - .Ld17
	.quad .Lp18, .Ld18, .Le18 - .Ld18
	.quad .Lp19, .Ld19, .Le19 - .Ld19
	.quad .Lp20, .Ld20, .Le20 - .Ld20
	.quad .Lp21, .Ld21, .Le21 - .Ld21
	.quad .Lp22, .Ld22, .Le22 - .Ld22
	.quad .Lp23, .Ld23, .Le23 - .Ld23
	.quad .Lp24, .Ld24, .Le24 - .Ld24
	.quad 0, 0, 0
	.section .note.GNU-stack,"",%progbits
