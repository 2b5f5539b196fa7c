/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A server on a UNIX socket of its own that gives lbctl the answers a test
 * wants.  Setups and a teardown for cmocka; GUIDEWAY_CONTROL is set to its
 * path.
 */
#ifndef FAKE_LBD_H
#define FAKE_LBD_H

#include <pthread.h>
#include <stddef.h>

struct fake_answer {
	unsigned int status; /* 0 = 200, but the connection ends after half of the body */
	const char *body;
};

struct fake_lbd {
	char directory[32], path[64];
	int fd;
	struct MHD_Daemon *daemon;
	pthread_mutex_t lock;		   /* of what follows */
	const struct fake_answer *answers; /* given in turn; the last one stays */
	size_t nanswers, nrequests;
	char method[8], url[128], service[128]; /* of the last request */
};

/* Setups: with no file at the path yet, or with the server running. */
int fake_lbd_make(void **state);
int fake_lbd_make_running(void **state);
int fake_lbd_free(void **state);

/* The two steps from the one to the other: connections wait, and are answered. */
void fake_lbd_listen(struct fake_lbd *fake);
void fake_lbd_run(struct fake_lbd *fake);

/* Forget the requests seen and give these answers from now on; they have to
 * live until the next call. */
void fake_lbd_give(struct fake_lbd *fake, const struct fake_answer *answers, size_t n);

#define GIVE(fake, ...) \
	fake_lbd_give(fake, (const struct fake_answer[]){__VA_ARGS__}, \
		      sizeof((const struct fake_answer[]){__VA_ARGS__}) / \
			      sizeof(struct fake_answer))

/* Rows of a cmocka table. */
#define WITH_DAEMON(test) \
	cmocka_unit_test_setup_teardown(test, fake_lbd_make_running, fake_lbd_free)
#define WITHOUT_DAEMON(test) cmocka_unit_test_setup_teardown(test, fake_lbd_make, fake_lbd_free)

#endif
