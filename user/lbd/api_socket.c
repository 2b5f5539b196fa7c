/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "api_socket.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Make the last directory of the path; those above it are the user's matter. */
static int directory_make(const char *path, struct error *error)
{
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;

	if (!length)
		return 0;
	memcpy(directory, path, length);
	directory[length] = '\0';
	if (mkdir(directory, 0755) && errno != EEXIST)
		return error_set(error, -errno, "--control: can't make %s: %s", directory,
				 strerror(errno));
	return 0;
}

static bool somebody_answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool answers;

	if (fd < 0)
		return false;
	/* EAGAIN: its queue is full. */
	answers = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		  errno == EAGAIN;
	close(fd);
	return answers;
}

static int leftover_remove(const struct sockaddr_un *address, struct error *error)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0
				       : error_set(error, -errno, "--control: %s: %s", path,
						   strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return error_set(error, -EEXIST, "--control: %s is not a socket", path);
	if (somebody_answers(address))
		return error_set(error, -EADDRINUSE, "--control: another lbd answers at %s", path);
	if (unlink(path))
		return error_set(error, -errno, "--control: can't replace %s: %s", path,
				 strerror(errno));
	return 0;
}

int api_socket_open(const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, err;

	assert(strlen(path) < sizeof(address.sun_path)); /* options.c saw to it */
	strcpy(address.sun_path, path);
	err = directory_make(path, error);
	err = err ? err : leftover_remove(&address, error);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(error, -errno, "--control: %s", strerror(errno));
	mask = umask(0117);
	err = bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, 64);
	umask(mask);
	if (err) {
		err = error_set(error, -errno, "--control: %s: %s", path, strerror(errno));
		close(fd);
		return err;
	}
	return fd;
}
