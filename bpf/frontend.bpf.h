/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 2, frontend: is the packet for a service?  The one look-up that a
 * packet which isn't ours costs.
 */
#ifndef FRONTEND_BPF_H
#define FRONTEND_BPF_H

static __always_inline enum lb_reason frontend_find(const struct packet *p, struct lb_frontend *ret,
						    const bool v6)
{
	struct lb_frontend *frontend;

	if (v6) {
		struct lb_frontend6_key key = {.port = p->tuple.v6.dport, .protocol = p->protocol};

		__builtin_memcpy(key.addr, p->tuple.v6.dst, sizeof(key.addr));
		frontend = bpf_map_lookup_elem(&frontends6, &key);
	} else {
		struct lb_frontend4_key key = {
			.addr = p->tuple.v4.dst,
			.port = p->tuple.v4.dport,
			.protocol = p->protocol,
		};

		frontend = bpf_map_lookup_elem(&frontends4, &key);
	}
	if (!frontend)
		return LB_REASON_NOT_SERVICE;
	*ret = *frontend;
	return 0;
}

#endif
