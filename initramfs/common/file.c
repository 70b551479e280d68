// SPDX-License-Identifier: GPL-2.0-only
/* Files: copied, read whole, and written to. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

void copy_file(const char *from, const char *to)
{
	static char buffer[16384];
	int in = must(open(from, O_RDONLY | O_CLOEXEC));
	struct stat st;
	ssize_t n;
	int out;

	must(fstat(in, &st));
	out = must(open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			st.st_mode));
	while ((n = must(read(in, buffer, sizeof(buffer)))))
		if (must(write(out, buffer, n)) != n)
			fault("%s: short write", to);
	must(close(out));
	close(in);
}

size_t read_text(int folder, const char *path, char *text, size_t size)
{
	int fd = must(openat(folder, path, O_RDONLY | O_CLOEXEC));
	size_t len = 0;
	ssize_t n;

	while ((n = must(read(fd, text + len, size - 1 - len))))
		len += n;
	close(fd);
	if (len == size - 1)
		fault("%s is longer than %zu bytes", path, len);
	text[len] = '\0';
	return len;
}

void write_text(const char *path, const char *text)
{
	int fd = must(open(path, O_WRONLY | O_CLOEXEC));

	if (must(write(fd, text, strlen(text))) != (ssize_t)strlen(text))
		fault("%s: short write", path);
	close(fd);
}
