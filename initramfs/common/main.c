// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of the guest: runs the flows that the kernel's command line names,
 * one after the other, and ends the machine.
 *
 * The kernel has opened /dev/console, a node in the cpio, as fds 0 to 2.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "harness.h"
#include "init.h"

/* The linker's names for the bounds of the section. No flow, no section. */
extern const struct flow __start_flows[] __attribute__((weak));
extern const struct flow __stop_flows[] __attribute__((weak));

static char nonce[64] = "-";
static char flows[256];

#define MAX_FLOWS 16

/*
 * What stands under / need not be our cpio: the kernel may have mounted a disk
 * and its /dev, or another init may have been here and mounted /proc. A second
 * one would be another file system, on top.
 */
static void mount_what_is_needed(void)
{
	if (access("/proc/self", F_OK) < 0 &&
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		die("mount /proc");
	if (!access("/dev/kmsg", F_OK))
		return;
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0)
		die("mount /dev, which has no kmsg");
}

static void take_parameter(const char *word, const char *key, char *value,
			   size_t size)
{
	size_t len = strlen(key);

	if (strncmp(word, key, len))
		return;
	if (strlen(word + len) >= size)
		die("a harness. parameter is too long");
	strcpy(value, word + len);
}

static void read_parameters(void)
{
	static char cmdline[8192];
	char *rest = cmdline, *word;
	ssize_t len;
	int fd;

	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("open /proc/cmdline");
	len = read(fd, cmdline, sizeof(cmdline) - 1);
	if (len < 0)
		die("read /proc/cmdline");
	close(fd);

	while ((word = strsep(&rest, " \n"))) {
		take_parameter(word, "harness.nonce=", nonce, sizeof(nonce));
		take_parameter(word, "harness.flow=", flows, sizeof(flows));
	}
}

static const struct flow *find_flow(const char *name)
{
	const struct flow *flow;

	for (flow = __start_flows; flow < __stop_flows; flow++)
		if (!strcmp(flow->name, name))
			return flow;
	fault("there is no flow %s in this initramfs", name);
}

/*
 * All names are looked up before the first flow runs. Where an earlier init
 * has come as far as `last`, that flow's rest and what follows it is left.
 */
static void run_flows(const char *last)
{
	const struct flow *chosen[MAX_FLOWS], *rest = NULL;
	unsigned int count = 0, i;
	char *left = flows, *name;
	char title[64];

	if (!*flows)
		fault("there is no harness.flow= on the command line");
	while ((name = strsep(&left, ","))) {
		if (count == MAX_FLOWS)
			fault("harness.flow names more than %u flows", count);
		chosen[count++] = find_flow(name);
		if (!last || strcmp(name, last))
			continue;
		snprintf(title, sizeof(title), "%s" REST, last);
		chosen[0] = rest = find_flow(title);
		count = 1;
	}
	if (last && !rest)
		fault("flow %s is to go on, and is not to run", last);
	for (i = 0; i < count; i++)
		chosen[i]->run();
}

int main(void)
{
	const char *state = getenv(STATE);
	char *last = NULL;

	/* It ends by ending the machine, which must not be somebody's own. */
	if (getpid() != 1) {
		fprintf(stderr, "this is PID 1 of a guest, nothing else\n");
		return 1;
	}

	mount_what_is_needed();
	look_at_printing();
	read_parameters();
	if (state) {
		reopen_records(nonce, strtoul(state, &last, 10));
		last += strspn(last, " ");
	} else {
		open_records(nonce);
		record_begin(flows);
	}
	run_flows(last);
	finish();
}
