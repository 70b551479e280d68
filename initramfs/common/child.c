// SPDX-License-Identifier: GPL-2.0-only
/* Children: for what must not touch PID 1, and for running a program. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "init.h"

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fault("waitpid: %s", errno_name(errno));
	return status;
}

static const char *describe(int status)
{
	static char text[24];

	if (WIFEXITED(status))
		snprintf(text, sizeof(text), "exit:%d", WEXITSTATUS(status));
	else
		snprintf(text, sizeof(text), "signal:%d", WTERMSIG(status));
	return text;
}

void in_child(void (*body)(void))
{
	pid_t pid = must(fork());
	int status;

	if (!pid) {
		become_child();
		body();
		fflush(NULL);
		_exit(0);
	}
	status = wait_for(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FAULT)
		finish();	/* the child has said why */
	if (status)
		fault("a child did not return: %s", describe(status));
}

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

const char *run_program(const char *path)
{
	char *const argv[] = { (char *)path, NULL };
	char *const envp[] = { NULL };
	volatile int error = 0;
	int status;
	pid_t pid;

	/* The child of vfork() shares our memory, so its errno is ours. */
	pid = vfork();
	if (!pid) {
		execve(path, argv, envp);
		error = errno;
		_exit(127);
	}
	must(pid);
	status = wait_for(pid);
	return error ? errno_name(error) : describe(status);
}
