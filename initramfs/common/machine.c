// SPDX-License-Identifier: GPL-2.0-only
/* The end of the machine, when all that was said has left it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

#include "init.h"

#if defined(__x86_64__) || defined(__i386__)
#include <sys/io.h>
#define HAS_PORTS 1
#define LAST_WORD RB_AUTOBOOT	/* QEMU runs with -no-reboot; no ACPI needed */
#else
#define HAS_PORTS 0
#define LAST_WORD RB_POWER_OFF
#endif

#ifndef CONSOLES_PATH		/* tests have a file instead */
#define CONSOLES_PATH "/proc/consoles"
#endif

#define EXIT_PORT 0xf4		/* isa-debug-exit, as QEMU is told */
#define EXIT_VALUE 0x10		/* QEMU's exit status: 0x10 << 1 | 1 = 33 */

/*
 * printk() writes to the console before the write to /dev/kmsg returns, unless
 * another context holds the console just then. Opening /dev/console takes the
 * console lock (console_device()), and giving that back prints what is left;
 * tcdrain() then waits for the UART. After a pivot there may be no node, and
 * one has to be made; a root that is read-only has a /dev of the kernel's.
 * No failure matters: it is only the care on top.
 */
static void drain_console(void)
{
	static const char path[] = "/.harness-console";
	int fd;

	fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		(void)mknod(path, S_IFCHR | 0600, makedev(5, 1));
		fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	}
	if (fd < 0)
		return;
	(void)tcdrain(fd);
	close(fd);
}

/*
 * A thread prints on PREEMPT_RT, and for a console that is marked N (nbcon, as
 * the 8250 is in 7.3), and userspace cannot tell whether it is done. A reboot
 * stops that thread and prints the rest (printk_kthread_shutdown()), leaving
 * by the port would not.
 */
static bool is_printing_threaded;

static bool has_nbcon(void)
{
	char line[128];
	const char *flags;
	bool found = false;
	FILE *consoles;

	/* "ttyS0                -W- (EC Np a)    4:64" */
	consoles = fopen(CONSOLES_PATH, "re");
	if (!consoles)
		return false;
	while (!found && fgets(line, sizeof(line), consoles)) {
		flags = strchr(line, '(');
		found = flags && memchr(flags, 'N', strcspn(flags, ")"));
	}
	fclose(consoles);
	return found;
}

void look_at_printing(void)
{
	struct utsname name;

	is_printing_threaded = uname(&name) < 0 || has_nbcon() ||
			       strstr(name.version, "PREEMPT_RT");
}

/* Returns where there is no such device, or no right to it. */
static void leave_by_port(void)
{
#if HAS_PORTS
	/* ENOSYS without CONFIG_X86_IOPL_IOPERM. */
	if (iopl(3) == 0)
		outb(EXIT_VALUE, EXIT_PORT);
#endif
}

void end_machine(void)
{
	drain_console();
	if (!is_printing_threaded)
		leave_by_port();
	reboot(LAST_WORD);
	/* PID 1 must not return: that is a panic, which would look as one. */
	for (;;)
		pause();
}

void die(const char *what)
{
	fprintf(stderr, "harness: %s: %s\n", what, strerror(errno));
	end_machine();
}
