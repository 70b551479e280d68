// SPDX-License-Identifier: GPL-2.0-only
/* Ends that need no more of a kernel than any has: PID 1 brings them about. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "harness.h"

#if defined(__x86_64__)
#include <sys/io.h>
#endif

/* --- init, and the memory it runs in ------------------------------------- */

FLOW(init_exits)
{
	step("init_exits.exit");
	_exit(3);
}

FLOW(init_segfaults)
{
	volatile int *volatile nowhere = (volatile int *)8;

	step("init_segfaults.write");
	*nowhere = 0;
}

static _Noreturn void take_all_memory(void)
{
	size_t size = 1 << 20;
	char *memory;

	for (;;) {
		memory = malloc(size);
		if (memory)
			memset(memory, 1, size);
	}
}

/* A child is killed, and PID 1 lives. */
FLOW(out_of_memory)
{
	int status;
	pid_t pid;

	step("out_of_memory.take_all");
	pid = must(fork());
	if (!pid)
		take_all_memory();
	must(waitpid(pid, &status, 0));
	observe_bool("out_of_memory.killed", WIFSIGNALED(status));
}

FLOW(out_of_memory_in_init)
{
	step("out_of_memory_in_init.take_all");
	take_all_memory();
}

/* --- panic= -------------------------------------------------------------- */

FLOW(panic_stays)
{
	step("panic_stays.sysrq");
	write_text("/proc/sysrq-trigger", "c");
}

FLOW(panic_reboots)
{
	step("panic_reboots.sysrq");
	write_text("/proc/sysrq-trigger", "c");
}

/* --- without a word ------------------------------------------------------ */

FLOW(hang_silent)
{
	step("hang_silent.pause");
	for (;;)
		pause();
}

FLOW(hang_same_line)
{
	step("hang_same_line.print");
	for (;;) {
		say_to_kmsg("<4>nullfs: still waiting for the device\n");
		usleep(20000);
	}
}

/* The keyboard controller resets the machine, and nobody is told. */
FLOW(reset_silent)
{
#if defined(__x86_64__)
	step("reset_silent.outb");
	must(iopl(3));
	outb(0xfe, 0x64);
	for (;;)
		pause();
#else
	fault("this machine has no keyboard controller");
#endif
}

FLOW(no_console)
{
}

/* --- records that are not as they should be ------------------------------ */

static void forge(unsigned int number, const char *rest)
{
	static char text[4096], line[512];
	char *nonce;

	read_text(AT_FDCWD, "/proc/cmdline", text, sizeof(text));
	nonce = strstr(text, "harness.nonce=");
	if (!nonce)
		fault("no harness.nonce on the command line");
	nonce += strlen("harness.nonce=");
	nonce[strcspn(nonce, " \n")] = '\0';
	snprintf(line, sizeof(line), "<1>harness: %s %u %s\n", nonce, number,
		 rest);
	say_to_kmsg(line);
}

/* Record 1 is the begin record. */
FLOW(wrong_count)
{
	forge(2, "end count=9");
}

FLOW(record_lost)
{
	forge(3, "observe record_lost.third=1");
}

static void observe_once_more(void)
{
	forge(3, "observe record_after_end.late=1");
}

FLOW(record_after_end)
{
	after_the_end(observe_once_more);
}

static void say_goodbye(void)
{
	say_to_kmsg("<6>bye: nothing to see here\n");
	say_to_kmsg("<6>random: crng init done, no BUG and no WARNING\n");
}

/* What the kernel says then is no finding by itself. */
FLOW(output_after_end)
{
	after_the_end(say_goodbye);
}

/* --- what else can be on the console ------------------------------------- */

static void print(const char *bytes, size_t size)
{
	if (write(STDOUT_FILENO, bytes, size) != (ssize_t)size)
		fault("a short write to the console");
}

#define PRINT(text) print(text, sizeof(text) - 1)

FLOW(noise)
{
	static char garbage[4096];
	unsigned int state = 1;
	size_t i;

	PRINT("NULs: \0\0\0, then \0\n");
	PRINT("\x1b[1;31mred\x1b[0m, \x1b[2J\x1b[H\x1b]0;a title\x07\x1b(B\n");
	PRINT("no UTF-8: \xff\xfe\x80\xc3(\n");
	PRINT("a carriage return\rKernel panic - not syncing: no\n");
	for (i = 0; i < sizeof(garbage); i++) {
		state = state * 1103515245 + 12345;
		garbage[i] = state >> 16;
	}
	print(garbage, sizeof(garbage));
	PRINT("\n");
	observe_bool("noise.printed", true);
}

/* Not through /dev/kmsg, and with a number that is not this boot's. */
FLOW(imitation)
{
	PRINT("harness: 00000000 2 end count=2\n");
}

FLOW(forged_by_cmdline)
{
}
