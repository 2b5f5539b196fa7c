/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mouth of this node's own processes: cgroup hooks of the calls that name an
 * address.  What a process asks for becomes a backend before there is a packet, and
 * what it is told of its peer is the frontend again.  Its packets then are
 * ordinary ones between this node and the backend: no program translates them.
 *
 * Only sockets of lbd's own network namespace: those of pods are left to TC, which can
 * give a flow another backend.
 */
#ifndef SOCKET_BPF_H
#define SOCKET_BPF_H

/* What a hook returns; those of recvmsg and getpeername can't refuse. */
#define SOCKET_REFUSE 0
#define SOCKET_GO_ON 1

/* A word of the context, by a constant offset, which is part of the kernel's ABI: what clang
 * makes of a relocated one, the verifier takes for a changed pointer. */
#define SOCKET_WORD(ctx, member) \
	(*(volatile __u32 *)((void *)(ctx) + __builtin_offsetof(struct bpf_sock_addr, member)))

static __always_inline bool socket_is_ours(struct bpf_sock_addr *ctx)
{
	return (ctx->protocol == IPPROTO_TCP || ctx->protocol == IPPROTO_UDP) &&
	       bpf_get_netns_cookie(ctx) == config_netns_cookie;
}

/* v6: by a hook of IPv6 sockets, which see IPv4 as ::ffff:a.b.c.d. */
static __always_inline void socket_read(struct bpf_sock_addr *ctx, struct lb_place *ret,
					const bool v6)
{
	__be32 addr[4];

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->family = 4;
	ret->port = SOCKET_WORD(ctx, user_port);
	if (!v6) {
		ret->addr[0] = SOCKET_WORD(ctx, user_ip4);
		return;
	}
	addr[0] = SOCKET_WORD(ctx, user_ip6[0]);
	addr[1] = SOCKET_WORD(ctx, user_ip6[1]);
	addr[2] = SOCKET_WORD(ctx, user_ip6[2]);
	addr[3] = SOCKET_WORD(ctx, user_ip6[3]);
	if (!(addr[0] | addr[1]) && addr[2] == bpf_htonl(0xffff)) {
		ret->addr[0] = addr[3];
		return;
	}
	__builtin_memcpy(ret->addr, addr, sizeof(addr));
	ret->family = 6;
}

/* A place of the family that was read. */
static __always_inline void socket_write(struct bpf_sock_addr *ctx, const struct lb_place *place,
					 const bool v6)
{
	if (!v6) {
		SOCKET_WORD(ctx, user_ip4) = place->addr[0];
	} else if (place->family == 4) {
		SOCKET_WORD(ctx, user_ip6[3]) = place->addr[0];
	} else {
		SOCKET_WORD(ctx, user_ip6[0]) = place->addr[0];
		SOCKET_WORD(ctx, user_ip6[1]) = place->addr[1];
		SOCKET_WORD(ctx, user_ip6[2]) = place->addr[2];
		SOCKET_WORD(ctx, user_ip6[3]) = place->addr[3];
	}
	SOCKET_WORD(ctx, user_port) = place->port;
}

/* A call is refused at once: as by a closed port where the service has nobody, as
 * by the network where a packet would be dropped.  It counts as a packet of no
 * bytes. */
static __always_inline int socket_refuse(enum lb_reason reason)
{
	count_reason(reason, 0);
	bpf_set_retval(count_verdict(reason) == LB_VERDICT_REJECT ? -ECONNREFUSED : -EHOSTUNREACH);
	return SOCKET_REFUSE;
}

/* What the socket was connected to before. */
static __always_inline void socket_forget(struct bpf_sock_addr *ctx)
{
	struct lb_socket *socket = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
	__u64 cookie = bpf_get_socket_cookie(ctx);

	if (!socket || !socket->backend)
		return;
	socket->backend = 0;
	if (ctx->protocol == IPPROTO_UDP)
		bpf_map_delete_elem(&udp_sockets, &cookie);
}

/* Without memory for it the process sees its backend's address, no more. */
static __always_inline void socket_remember(struct bpf_sock_addr *ctx, struct lb_socket *chosen)
{
	struct lb_socket *socket =
		bpf_sk_storage_get(&sockets, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	__u64 cookie = bpf_get_socket_cookie(ctx);

	if (!socket)
		return;
	chosen->flags = socket->flags;
	*socket = *chosen;
	if (ctx->protocol == IPPROTO_UDP)
		bpf_map_update_elem(&udp_sockets, &cookie, chosen, BPF_ANY);
}

static __always_inline int socket_connect(struct bpf_sock_addr *ctx, const bool v6)
{
	struct lb_socket chosen = {};
	enum lb_reason reason;
	struct lb_place to;

	if (!socket_is_ours(ctx))
		return SOCKET_GO_ON;
	socket_read(ctx, &to, v6);
	reason = socket_choose(&to, &chosen, ctx->protocol);
	if (reason)
		socket_forget(ctx);
	if (reason == LB_REASON_NOT_SERVICE)
		return SOCKET_GO_ON;
	if (reason)
		return socket_refuse(reason);
	socket_remember(ctx, &chosen);
	socket_write(ctx, &chosen.peer, v6);
	return SOCKET_GO_ON;
}

static __always_inline int socket_sendmsg(struct bpf_sock_addr *ctx, const bool v6)
{
	struct lb_place to, backend = {};
	struct lb_socket *socket;
	enum lb_reason reason;

	if (!socket_is_ours(ctx))
		return SOCKET_GO_ON;
	socket_read(ctx, &to, v6);
	reason = socket_flow_send(&to, &backend, bpf_get_socket_cookie(ctx));
	if (reason == LB_REASON_NOT_SERVICE)
		return SOCKET_GO_ON;
	if (reason)
		return socket_refuse(reason);
	socket = bpf_sk_storage_get(&sockets, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket && !(socket->flags & LB_SOCKET_F_UNCONNECTED))
		socket->flags |= LB_SOCKET_F_UNCONNECTED;
	socket_write(ctx, &backend, v6);
	return SOCKET_GO_ON;
}

/* Tell the process who its peer is.  unconnected: it may be one of several. */
static __always_inline int socket_name(struct bpf_sock_addr *ctx, const bool unconnected,
				       const bool v6)
{
	struct lb_place from, frontend = {};
	struct lb_socket *socket;

	if (!socket_is_ours(ctx))
		return SOCKET_GO_ON;
	socket = bpf_sk_storage_get(&sockets, ctx->sk, NULL, 0);
	if (!socket)
		return SOCKET_GO_ON;
	socket_read(ctx, &from, v6);
	if (socket->backend && socket_same_place(&socket->peer, &from))
		frontend = socket->frontend;
	else if (!unconnected || !(socket->flags & LB_SOCKET_F_UNCONNECTED) ||
		 !socket_flow_heard(&from, &frontend, bpf_get_socket_cookie(ctx)))
		return SOCKET_GO_ON;
	socket_write(ctx, &frontend, v6);
	return SOCKET_GO_ON;
}

SEC("cgroup/connect4")
int lb_connect4(struct bpf_sock_addr *ctx)
{
	return socket_connect(ctx, false);
}

SEC("cgroup/connect6")
int lb_connect6(struct bpf_sock_addr *ctx)
{
	return socket_connect(ctx, true);
}

SEC("cgroup/sendmsg4")
int lb_sendmsg4(struct bpf_sock_addr *ctx)
{
	return socket_sendmsg(ctx, false);
}

SEC("cgroup/sendmsg6")
int lb_sendmsg6(struct bpf_sock_addr *ctx)
{
	return socket_sendmsg(ctx, true);
}

SEC("cgroup/recvmsg4")
int lb_recvmsg4(struct bpf_sock_addr *ctx)
{
	return socket_name(ctx, true, false);
}

SEC("cgroup/recvmsg6")
int lb_recvmsg6(struct bpf_sock_addr *ctx)
{
	return socket_name(ctx, true, true);
}

/* The end of a socket: its own memory goes by itself. */
SEC("cgroup/sock_release")
int lb_sock_release(struct bpf_sock *ctx)
{
	__u64 cookie;

	if (ctx->protocol != IPPROTO_UDP || !bpf_sk_storage_get(&sockets, ctx, NULL, 0))
		return SOCKET_GO_ON;
	cookie = bpf_get_socket_cookie(ctx);
	bpf_map_delete_elem(&udp_sockets, &cookie);
	return SOCKET_GO_ON;
}

SEC("cgroup/getpeername4")
int lb_getpeername4(struct bpf_sock_addr *ctx)
{
	return socket_name(ctx, false, false);
}

SEC("cgroup/getpeername6")
int lb_getpeername6(struct bpf_sock_addr *ctx)
{
	return socket_name(ctx, false, true);
}

#endif
