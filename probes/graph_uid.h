/* SPDX-License-Identifier: (Dual BSD/GPL) OR Apache-2.0 */
/* The engine's own number of a graph, which stays while it is reused; 0 where it has none. */
INLINE u64 graph_uid(u64 graph)
{
#ifdef LAYOUT_CGRAPH_UID
	return RD_U64(graph + LAYOUT_CGRAPH_UID);
#else
	return 0;
#endif
}
