/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "clients.h"

#define CHECK_MS 1000

int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct client *client_add(struct clients *clients, int fd)
{
	struct client *client = malloc(sizeof(*client));

	if (!client)
		return NULL;
	client->fd = fd;
	client_may_take(client, CLIENT_REQUEST_MS);
	LIST_INSERT_HEAD(&clients->list, client, link);
	return client;
}

void client_remove(struct client *client)
{
	if (!client)
		return;
	LIST_REMOVE(client, link);
	free(client);
}

void client_may_take(struct client *client, int64_t ms)
{
	client->until_ms = clock_ms() + ms;
}

void clients_check(struct clients *clients)
{
	int64_t now_ms = clock_ms();
	struct client *client;

	if (now_ms - clients->checked_ms < CHECK_MS)
		return;
	clients->checked_ms = now_ms;
	LIST_FOREACH(client, &clients->list, link)
	{
		if (client->until_ms <= now_ms)
			shutdown(client->fd, SHUT_RDWR);
	}
}

int clients_timeout_ms(const struct clients *clients)
{
	int64_t left_ms = clients->checked_ms + CHECK_MS - clock_ms();

	if (LIST_EMPTY(&clients->list))
		return -1;
	return left_ms > 0 ? (int)left_ms : 0;
}
