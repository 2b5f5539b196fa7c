/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "api_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *argument(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

static int place_read(struct MHD_Connection *connection, const char *name, struct addr *ret,
		      uint16_t *ret_port, struct error *error)
{
	const char *text = argument(connection, name);

	if (text && addr_port_parse(text, ret, ret_port))
		return error_set(error, -EINVAL, "%s: ADDR or ADDR:PORT expected", name);
	return 0;
}

int api_filter_service(struct MHD_Connection *connection, const char **ret, struct error *error)
{
	*ret = argument(connection, "service");
	if (*ret && !strchr(*ret, '/'))
		return error_set(error, -EINVAL, "service: NAMESPACE/NAME expected");
	return 0;
}

int api_filter_read(struct MHD_Connection *connection, struct show_filter *ret, struct error *error)
{
	const char *limit = argument(connection, "limit");
	struct show_filter filter = {0};
	char *end = NULL;
	int err = api_filter_service(connection, &filter.service, error);

	err = err
		      ?: place_read(connection, "backend", &filter.backend, &filter.backend_port,
				    error);
	err = err ?: place_read(connection, "client", &filter.client, &filter.client_port, error);
	if (err)
		return err;
	if (limit) {
		unsigned long number = strtoul(limit, &end, 10);

		if (*limit < '0' || *limit > '9' || *end || number > UINT32_MAX)
			return error_set(error, -EINVAL, "limit: a number expected");
		filter.limit = number;
	}
	*ret = filter;
	return 0;
}
