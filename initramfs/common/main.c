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

static void mount_proc(void)
{
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		die("mount /proc");
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

/* All names are looked up before the first flow runs. */
static void run_flows(void)
{
	const struct flow *chosen[16];
	unsigned int count = 0, i;
	char *rest = flows, *name;

	if (!*flows)
		fault("there is no harness.flow= on the command line");
	while ((name = strsep(&rest, ","))) {
		if (count == sizeof(chosen) / sizeof(*chosen))
			fault("harness.flow names more than %u flows", count);
		chosen[count++] = find_flow(name);
	}
	for (i = 0; i < count; i++)
		chosen[i]->run();
}

int main(void)
{
	/* It ends by ending the machine, which must not be somebody's own. */
	if (getpid() != 1) {
		fprintf(stderr, "this is PID 1 of a guest, nothing else\n");
		return 1;
	}

	mount_proc();
	look_at_printing();
	read_parameters();
	open_records(nonce);
	record_begin(flows);
	run_flows();
	finish();
}
