/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A row of the options' table, and the functions that set values of each kind:
 * they check one value's text and store it at an offset of struct options.
 * An error's text lacks the option's name; options.c puts it in front.
 */
#ifndef GW_OPTION_VALUES_H
#define GW_OPTION_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "options.h"

struct option_spec;
typedef int (*option_set_fn)(const struct option_spec *spec, struct options *options,
			     const char *value, struct error *error);

struct option_spec {
	const char *name;
	const char *metavar; /* NULL = a switch */
	const char *help;
	option_set_fn set;
	size_t offset;	     /* of the value, or of the list, in struct options */
	size_t count_offset; /* of a list's length; 0 = not a list */
	size_t element_bytes;
	uint32_t min, max; /* option_set_number32() alone */
	const char *unit;
	const char *fallback; /* a variable that is read where GUIDEWAY_<OPTION> isn't set */
	bool no_environment;
};

static inline void *option_field(struct options *options, size_t offset)
{
	return (char *)options + offset;
}

int option_set_switch(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error);
int option_set_number32(const struct option_spec *spec, struct options *options, const char *value,
			struct error *error);
int option_set_number64(const struct option_spec *spec, struct options *options, const char *value,
			struct error *error);
int option_set_text(const struct option_spec *spec, struct options *options, const char *value,
		    struct error *error);
int option_set_source(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error);
int option_set_control(const struct option_spec *spec, struct options *options, const char *value,
		       struct error *error);
int option_set_node(const struct option_spec *spec, struct options *options, const char *value,
		    struct error *error);
int option_set_services(const struct option_spec *spec, struct options *options, const char *value,
			struct error *error);
int option_set_hook(const struct option_spec *spec, struct options *options, const char *value,
		    struct error *error);
int option_set_tc(const struct option_spec *spec, struct options *options, const char *value,
		  struct error *error);
int option_set_attach(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error);
int option_set_listen(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error);
int option_set_bypass(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error);
int option_set_ports(const struct option_spec *spec, struct options *options, const char *value,
		     struct error *error);
int option_set_health(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error);
int option_set_log_level(const struct option_spec *spec, struct options *options, const char *value,
			 struct error *error);
int option_set_log_format(const struct option_spec *spec, struct options *options,
			  const char *value, struct error *error);
int option_add_device(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error);
int option_add_glob(const struct option_spec *spec, struct options *options, const char *value,
		    struct error *error);
int option_add_address(const struct option_spec *spec, struct options *options, const char *value,
		       struct error *error);
int option_add_nodeport(const struct option_spec *spec, struct options *options, const char *value,
			struct error *error);
int option_add_prefix(const struct option_spec *spec, struct options *options, const char *value,
		      struct error *error);

#endif
