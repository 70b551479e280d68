// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the memory of the initramfs, most of it /ballast, is given back when
 * the initramfs has been left. PID 1 runs from there and has its console there,
 * so it goes on in an init on the new root, with a console of that.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "holders.h"
#include "nullfs.h"

/* What the next init has to know, in a file of the new root. */
static const char notes[] = "/notes";

struct notes {
	uint64_t device;
	uint64_t ballast_kib;
	uint64_t shmem_kib;		/* tmpfs */
	uint64_t unevictable_kib;	/* ramfs */
};

static uint64_t read_meminfo(const char *key)
{
	char text[8192], *line;

	read_text(AT_FDCWD, "/proc/meminfo", text, sizeof(text));
	line = strstr(text, key);
	if (!line)
		fault("/proc/meminfo has no %s", key);
	return strtoull(line + strlen(key), NULL, 10);
}

static void measure(struct notes *now)
{
	now->shmem_kib = read_meminfo("\nShmem:");
	now->unevictable_kib = read_meminfo("\nUnevictable:");
}

static void take_notes(struct notes *before)
{
	struct stat st;

	must(stat("/ballast", &st));
	before->device = st.st_dev;
	before->ballast_kib = st.st_size / 1024;
	measure(before);
	observe_u64("memory.ballast_kib", before->ballast_kib);
	observe_u64("memory.shmem_before_kib", before->shmem_kib);
	observe_u64("memory.unevictable_before_kib", before->unevictable_kib);
}

static void leave_initramfs(void)
{
	bool is_pivoted = !attempt("memory.pivot_root", pivot_root(".", "."));

	if (is_pivoted) {
		attempt("memory.umount2", umount2(".", MNT_DETACH));
	} else {
		must(mount(".", "/", NULL, MS_MOVE, NULL));
		must(chroot("."));
	}
	must(chdir("/"));
}

static void reopen_console(void)
{
	int fd = must(open("/dev/console", O_RDWR | O_NOCTTY));
	int i;

	for (i = 0; i <= 2; i++)
		must(dup2(fd, i));
	if (fd > 2)
		close(fd);
}

FLOW(memory)
{
	const char *const argv[] = { "/init", NULL };
	struct notes before;
	int fd;

	take_notes(&before);
	enter_new_root("memory");
	observe_lack("memory", NEW_ROOT);
	furnish_for_init();
	fd = must(open(notes + 1, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	must(write(fd, &before, sizeof(before)));
	close(fd);
	leave_initramfs();
	reopen_console();
	must(go_on_in("memory", argv));
}

static bool is_given_back(const struct notes *before, struct notes *now)
{
	uint64_t had = before->shmem_kib + before->unevictable_kib;

	measure(now);
	/* The new root holds an init and a program, a hundredth of it. */
	return now->shmem_kib + now->unevictable_kib +
	       before->ballast_kib * 9 / 10 < had;
}

REST_OF(memory)
{
	struct notes before, now;
	bool is_back;
	int fd, i;

	fd = must(open(notes, O_RDONLY | O_CLOEXEC));
	must(read(fd, &before, sizeof(before)));
	close(fd);
	/* The last reference may go in a worker, after a grace period. */
	for (i = 0; !(is_back = is_given_back(&before, &now)) && i < 20; i++)
		usleep(50 * 1000);
	observe_u64("memory.shmem_after_kib", now.shmem_kib);
	observe_u64("memory.unevictable_after_kib", now.unevictable_kib);
	observe_bool("memory.reclaimed", is_back);
	observe_str("memory.holders", find_holders(before.device));
}
