// SPDX-License-Identifier: GPL-2.0-only
/* Other programs than PID 1: children, those they run, and the next PID 1. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
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

int go_on_in(const char *flow, const char *const argv[])
{
	static char state[128];
	char *const envp[] = { state, NULL };

	snprintf(state, sizeof(state), STATE "=%lu %s", last_record(), flow);
	fflush(NULL);
	return execve(argv[0], (char *const *)argv, envp);
}
