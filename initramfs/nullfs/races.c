// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pivots in children, one after the other, while others copy namespaces, mount
 * and unmount, rename and read mountinfo: they meet at the kernel's one lock of
 * mounts. What goes wrong here is told by lockdep, KASAN or a wrong answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

#define ROUNDS_MAX 400
#define SECONDS 2

/* Of the children's, and read when they have ended. */
static struct counters {
	unsigned int wrong_ids;
	unsigned int reads;
	unsigned int copies;
	unsigned int mounts;
	unsigned int renames;
	int pivot_error;	/* of the pivot with nobody about */
} *counters;

static char first_line[64];

static void read_first_line(char *line, size_t size)
{
	char text[8192];

	read_text(AT_FDCWD, "/proc/self/mountinfo", text, sizeof(text));
	snprintf(line, size, "%.*s", (int)strcspn(text, "/"), text);
}

/* These do not return, and say nothing: records take turns. */

static void read_on(void)
{
	char line[sizeof(first_line)];

	for (;; counters->reads++) {
		read_first_line(line, sizeof(line));
		if (strcmp(line, first_line))
			counters->wrong_ids++;
	}
}

static void copy_on(void)
{
	for (;;)
		counters->copies += !unshare(CLONE_NEWNS);
}

static void mount_on(void)
{
	(void)unshare(CLONE_NEWNS);
	for (;;) {
		counters->mounts += !mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
		(void)umount2("/tmp", MNT_DETACH);
	}
}

static void rename_on(void)
{
	(void)mkdir("/sys/a", 0755);
	for (;;) {
		counters->renames += !rename("/sys/a", "/sys/b");
		(void)rename("/sys/b", "/sys/a");
	}
}

/* A pivot that ends as the calm one did, on the parent that it should have. */
static int pivot_once(void)
{
	struct mountstat root, parent;
	uint64_t before = unique_mount_id("/");

	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, NULL) || chdir("/tmp"))
		return 1;
	if (pivot_root(".", ".") < 0)
		return errno != counters->pivot_error;
	if (counters->pivot_error || umount2(".", MNT_DETACH) || chdir("/"))
		return 1;
	if (stat_mount(unique_mount_id("/"), &root) ||
	    stat_mount(root.parent_id, &parent))
		return 1;
	if (root.id <= before || root.id <= parent.id ||
	    strcmp(root.type, "tmpfs") || strcmp(parent.type, "nullfs"))
		counters->wrong_ids++;
	return 0;
}

static pid_t start(void (*body)(void))
{
	pid_t pid = must(fork());

	if (!pid) {
		body();
		_exit(0);
	}
	return pid;
}

static void pivot_calmly(void)
{
	leave_namespace();
	enter_tmpfs();
	observe_lack("races", "/tmp");
	counters->pivot_error = 0;
	if (attempt("races.calm_pivot_root", pivot_root(".", ".")) < 0)
		counters->pivot_error = errno;
}

static void pivot_and_exit(void)
{
	_exit(pivot_once());
}

static unsigned int run_rounds(unsigned int *failures)
{
	time_t end = time(NULL) + SECONDS;
	unsigned int rounds = 0;
	int status;
	pid_t pid;

	for (; rounds < ROUNDS_MAX && time(NULL) <= end; rounds++) {
		pid = start(pivot_and_exit);
		must(waitpid(pid, &status, 0));
		if (status)
			++*failures;
	}
	return rounds;
}

FLOW(races)
{
	static void (*const bodies[])(void) = {
		read_on, copy_on, mount_on, rename_on,
	};
	enum { COUNT = sizeof(bodies) / sizeof(*bodies) };
	unsigned int failures = 0, rounds, i;
	uint64_t before = unique_mount_id("/");
	char last_line[sizeof(first_line)];
	pid_t pids[COUNT];

	counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counters == MAP_FAILED)
		fault("mmap: %s", errno_name(errno));
	read_first_line(first_line, sizeof(first_line));
	in_child(pivot_calmly);
	for (i = 0; i < COUNT; i++)
		pids[i] = start(bodies[i]);
	step("races.rounds");
	rounds = run_rounds(&failures);
	for (i = 0; i < COUNT; i++) {
		must(kill(pids[i], SIGKILL));
		must(waitpid(pids[i], NULL, 0));
	}
	read_first_line(last_line, sizeof(last_line));

	observe_u64("races.cpus", sysconf(_SC_NPROCESSORS_ONLN));
	observe_u64("races.rounds", rounds);
	observe_u64("races.failures", failures);
	observe_u64("races.wrong_ids", counters->wrong_ids);
	observe_bool("races.all_took_part",
		     counters->reads && counters->copies &&
		     counters->mounts && counters->renames);
	observe_bool("races.root_is_unchanged",
		     unique_mount_id("/") == before &&
		     !strcmp(first_line, last_line) &&
		     !access("/init", F_OK));
}
