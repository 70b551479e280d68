// SPDX-License-Identifier: GPL-2.0-only
/* How flows bring the kernel down, and how they live on to see it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "harness.h"

#define LKDTM "/debug/provoke-crash/DIRECT"

int open_lkdtm(void)
{
	int fd;

	if (mkdir("/debug", 0755) < 0 && errno != EEXIST)
		fault("mkdir /debug: %s", errno_name(errno));
	/* Where debugfs is missing, so is the file. */
	(void)mount("debugfs", "/debug", "debugfs", 0, NULL);
	fd = open(LKDTM, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		fault("this kernel has no LKDTM (%s), one of flavor crash has",
		      errno_name(errno));
	return fd;
}

static void observe_child(const char *flow, const char *value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.child", flow);
	observe_str(name, value);
}

static void observe_end(const char *flow, int status)
{
	char text[24];

	if (WIFEXITED(status))
		snprintf(text, sizeof(text), "exit:%d", WEXITSTATUS(status));
	else
		snprintf(text, sizeof(text), "signal:%d", WTERMSIG(status));
	observe_child(flow, text);
}

static void say_step(const char *flow, const char *death)
{
	char name[96];

	snprintf(name, sizeof(name), "%s.%s", flow, death);
	step(name);
}

/* In the child. An exit status of 1: LKDTM knows no such death. */
static _Noreturn void die_of(int lkdtm, const char *death)
{
	_exit(write(lkdtm, death, strlen(death)) < 0);
}

void set_off(const char *flow, const char *death)
{
	int lkdtm = open_lkdtm(), status;
	pid_t pid;

	say_step(flow, death);
	pid = must(fork());
	if (!pid)
		die_of(lkdtm, death);
	must(waitpid(pid, &status, 0));
	close(lkdtm);
	observe_end(flow, status);
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(0, sizeof(set), &set));
}

/*
 * Until the second CPU has been told that it has none of our page tables any
 * more, each page that we write to after fork() waits for it, and one that is
 * locked up never answers. Linux tells it with what it unmaps anyway, but not
 * in the first second of an mm (v6.14).
 */
static void leave_second_cpu(void)
{
	char *page;

	sleep(2);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		fault("mmap: %s", errno_name(errno));
	*page = 1;
	must(munmap(page, 4096));
}

void set_off_elsewhere(const char *flow, const char *death,
		       unsigned int seconds)
{
	int lkdtm = open_lkdtm(), go[2], status;
	char byte = 0;
	pid_t pid;

	stay_on(0);
	must(pipe(go));
	pid = must(fork());
	if (!pid) {
		stay_on(1);
		if (read(go[0], &byte, 1) == 1)
			die_of(lkdtm, death);
		_exit(1);
	}
	leave_second_cpu();
	say_step(flow, death);
	must(write(go[1], &byte, 1));
	sleep(seconds);
	if (must(waitpid(pid, &status, WNOHANG)))
		observe_end(flow, status);
	else
		observe_child(flow, "alive");
}

void say_to_kmsg(const char *line)
{
	write_text("/dev/kmsg", line);
}

/* Reads the kernel's log from its beginning, a line a read. */
static void wait_for_the_end_record(void)
{
	static char line[8192];
	int log = open("/dev/kmsg", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	do {
		n = read(log, line, sizeof(line) - 1);
		if (n < 0 && errno != EPIPE)
			_exit(1);
		line[n < 0 ? 0 : n] = '\0';
	} while (!strstr(line, ";harness: ") || !strstr(line, " end count="));
	close(log);
}

/*
 * After its end record PID 1 opens /dev/console, to see it drained. A FIFO
 * there makes it wait until somebody opens the other end.
 */
void after_the_end(void (*act)(void))
{
	must(unlink("/dev/console"));
	must(mkfifo("/dev/console", 0600));
	if (must(fork()))
		return;
	wait_for_the_end_record();
	act();
	(void)open("/dev/console", O_RDONLY);
	for (;;)
		pause();
}
