/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 2, frontend: is the packet for a service?  The filter answers for nearly
 * all that isn't, without a look-up; the frontend itself is asked for where a
 * flow begins, and now and then where one goes on (flow.bpf.h).
 */
#ifndef FRONTEND_BPF_H
#define FRONTEND_BPF_H

/* false: surely none of ours. */
static __always_inline bool frontend_is_possible(const struct packet *p, const bool v6)
{
	__u32 bit = v6 ? hash_frontend6(p->tuple.v6.dst, p->tuple.v6.dport, p->protocol)
		       : hash_frontend4(p->tuple.v4.dst, p->tuple.v4.dport, p->protocol);

	return frontend_filter[bit / 8] & 1U << bit % 8;
}

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

/* May the packet be for a service?  0 = go on.  The kernel answers what has come
 * to its last hop. */
static __always_inline enum lb_reason frontend_check(const struct packet *p, const bool v6)
{
	struct lb_frontend frontend;

	if (!frontend_is_possible(p, v6))
		return LB_REASON_NOT_SERVICE;
	if (p->ttl <= 1)
		return frontend_find(p, &frontend, v6) ?: LB_REASON_TTL_EXPIRED;
	return 0;
}

#endif
