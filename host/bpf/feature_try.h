/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt per feature: 0 or positive when it works, else -errno. Leave nothing behind. */
#ifndef LLMPROBE_BPF_FEATURE_TRY_H
#define LLMPROBE_BPF_FEATURE_TRY_H

int feature_try_bpf(void);
int feature_try_uprobe_multi(void);
int feature_try_uprobe_session(void);
int feature_try_uprobe_pmu(void);
int feature_try_ringbuf(void);
int feature_try_task_storage(void);
int feature_try_attach_cookie(void);
int feature_try_bpf_loop(void);
int feature_try_btf(void);
int feature_try_tp_btf(void);
int feature_try_raw_tracepoint(void);
int feature_try_tracefs(void);
int feature_try_sw_counters(void);
int feature_try_hw_counters(void);
int feature_try_bpf_stats(void);

#endif
