/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads networking.k8s.io/v1 NetworkPolicies, as far as it matters that there is
 * one: netfilter, or whoever else enforces them, has to see the packets. */
#include <string.h>

#include "object_read.h"

#define POLICY_MAX_TYPES 16

/* Unset types: ingress, and egress where there are rules for it. */
int object_read_policy(struct reading *reading, const struct field *root, struct object *object)
{
	struct field spec = field_get(root, "spec"), types = field_get(&spec, "policyTypes");
	struct field egress = field_get(&spec, "egress");
	struct object_policy *policy = &object->as_policy;
	size_t n;
	int err;

	err = field_object(reading, &spec);
	if (!err)
		err = field_list(reading, &types, POLICY_MAX_TYPES, &n);
	if (err)
		return err;
	policy->ingress = !n;
	policy->egress = !n && field_present(&egress);
	for (size_t i = 0; i < n; i++) {
		struct field item = field_item(&types, i);
		char quoted[ERROR_QUOTE_LEN];
		const char *type;

		err = field_string(reading, &item, &type);
		if (err)
			return err;
		if (!strcmp(type, "Ingress"))
			policy->ingress = true;
		else if (!strcmp(type, "Egress"))
			policy->egress = true;
		else
			return field_refuse(reading, &item, "%s is not Ingress or Egress",
					    error_quote(type, quoted));
	}
	return 0;
}
