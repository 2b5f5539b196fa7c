/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step 2, too: may the client reach a load-balancer address that has source ranges?
 * Asked where a flow begins, before a backend is picked, whoever the client is
 * (service-semantics 71-74).  Flows that are there go on when ranges change, as
 * they do in connection tracking.
 */
#ifndef SOURCE_BPF_H
#define SOURCE_BPF_H

/* Its keys have a stack frame of their own.  Returns 0 or
 * LB_REASON_SOURCE_REFUSED. */
__noinline int source_look_up(const struct packet *p, __u32 service, bool v6)
{
	if (!p)
		return LB_REASON_SOURCE_REFUSED; /* for the verifier: never */
	if (v6) {
		struct lb_source6_key key = {
			.prefix_bits = LB_SOURCE_SERVICE_BITS + 128,
			.service = service,
		};

		__builtin_memcpy(key.addr, p->tuple.v6.src, sizeof(key.addr));
		return bpf_map_lookup_elem(&sources6, &key) ? 0 : LB_REASON_SOURCE_REFUSED;
	}
	struct lb_source4_key key = {
		.prefix_bits = LB_SOURCE_SERVICE_BITS + 32,
		.service = service,
		.addr = p->tuple.v4.src,
	};

	return bpf_map_lookup_elem(&sources4, &key) ? 0 : LB_REASON_SOURCE_REFUSED;
}

static __always_inline enum lb_reason source_check(const struct packet *p,
						   const struct lb_frontend *frontend, bool v6)
{
	if (!(frontend->flags & LB_FRONTEND_F_SOURCES))
		return 0;
	return source_look_up(p, frontend->service, v6);
}

#endif
