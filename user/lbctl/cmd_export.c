/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Manifests that `lbd --source file:` reads back. */
#include "resource.h"

static int export(struct invocation *invocation, FILE *out, struct error *error)
{
	enum output_format format = invocation->output == OUTPUT_JSON ? OUTPUT_JSON : OUTPUT_YAML;
	char url[RESOURCE_URL_SIZE];
	struct answer *answer;
	int err = client_get(invocation->client, resource_url(invocation, "/v1/export", url),
			     &answer, error);

	if (err)
		return err;
	err = output_document(answer, format, out, error);
	answer_free(answer);
	return err;
}

const struct command cmd_export = {
	.words = "export",
	.summary = "Services and slices as manifests",
	.flags = COMMAND_F_SERVICE,
	.run = export,
};
