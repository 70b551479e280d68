// SPDX-License-Identifier: GPL-2.0-only
/*
 * We are the init that an initramfs has left for: this runs on the disk, as
 * PID 1, after its switch. What can still be told of that initramfs is here.
 *
 * The flows differ in the image alone: see initrds/.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* As each image's witness left it, the last thing before the switch. */
#define BEFORE "/run/harness/meminfo"
#define AFTER "/proc/meminfo"

static const char *flow;

/* "dracut.way", good until the next call. */
static const char *name(const char *thing)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s.%s", flow, thing);
	return text;
}

/* --- which way it took ------------------------------------------------- */

/*
 * pivot_root() puts the new root where the old one was, which is on nullfs.
 * MS_MOVE puts it on top of the old one.
 */
static const char *way(const struct mountstat *parent)
{
	if (!strcmp(parent->type, "nullfs"))
		return "pivot_root";
	if (!strcmp(parent->type, "rootfs"))
		return "MS_MOVE";
	return parent->type;
}

static void observe_way(void)
{
	struct mountstat root, parent, grandparent;

	must(stat_mount(unique_mount_id("/"), &root));
	must(stat_mount(root.parent_id, &parent));
	must(stat_mount(parent.parent_id, &grandparent));
	observe_str(name("way"), way(&parent));
	observe_bool(name("rootfs_is_left"), !strcmp(parent.type, "rootfs"));
	observe_bool(name("nullfs_is_below"),
		     !strcmp(parent.type, "nullfs") ||
		     !strcmp(grandparent.type, "nullfs"));
	observe_str(name("root_fs"), fs_name("/"));
	observe_bool(name("rootfs_is_listed"), has_mount_of_type("rootfs"));
}

/* --- what is below ----------------------------------------------------- */

static unsigned int files, folders;

static int count(const char *path, const struct stat *st, int type,
		 struct FTW *at)
{
	(void)path;
	(void)st;
	if (type == FTW_D)
		folders += at->level > 0;
	else
		files++;
	return 0;
}

/*
 * Whoever takes / away and enters the namespace again stands on what was
 * under it: that is the old root itself, not what the kernel says of it.
 */
static void look_below(void)
{
	int fd;

	must(unshare(CLONE_NEWNS));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	fd = must(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
	attempt(name("umount_root"), umount2("/", MNT_DETACH));
	must(setns(fd, CLONE_NEWNS));
	observe_str(name("below_fs"), fs_name("/"));
	must(nftw("/", count, 16, FTW_PHYS | FTW_MOUNT));
	observe_u64(name("below_files"), files);
	observe_u64(name("below_folders"), folders);
}

/* --- how much memory came back ----------------------------------------- */

#define POLL_US 100000
#define POLLS_MAX 100		/* ten seconds */

static uint64_t kib_of(const char *text, const char *key)
{
	const char *line = strstr(text, key);

	if (!line)
		fault("there is no %s in meminfo", key);
	return strtoull(line + strlen(key), NULL, 10);
}

/* Returns whether no child is left after `polls` looks. */
static bool have_all_ended(unsigned int polls)
{
	pid_t pid;

	while (polls--) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return true;
		usleep(POLL_US);
	}
	return false;
}

/* Adds the name of a process that is neither we nor the kernel's own. */
static void add_process(const char *pid, char *names, size_t size)
{
	char path[300], stat[1024], *start, *end;
	size_t len = strlen(names);
	int parent;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	read_text(AT_FDCWD, path, stat, sizeof(stat));
	start = strchr(stat, '(');
	end = strrchr(stat, ')');
	if (!start || !end || sscanf(end, ") %*c %d", &parent) != 1)
		fault("cannot read %s", path);
	if (parent == 0 || parent == 2)	/* we, and kthreadd's children */
		return;
	*end = '\0';
	snprintf(names + len, size - len, "%s%s", len ? " " : "", start + 1);
}

static void observe_processes(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char names[512] = "";

	if (!proc)
		fault("cannot read /proc");
	while ((entry = readdir(proc)))
		if (strspn(entry->d_name, "0123456789") ==
		    strlen(entry->d_name))
			add_process(entry->d_name, names, sizeof(names));
	closedir(proc);
	observe_str(name("left_running"), *names ? names : "none");
}

/*
 * The pages of a ramfs are not evictable, those of a tmpfs are shared memory.
 * With root= on the command line rootfs is a ramfs, and /run is a tmpfs.
 *
 * What the initramfs started and did not wait for is our child now, and as
 * long as it runs it holds its files: util-linux' switch_root removes the
 * initramfs in a child and goes on, and a udevd does not always end when told
 * to. Whether the memory can come back shows when these are gone.
 */
static void observe_memory(void)
{
	static char before[8192], after[8192];
	uint64_t held, left;

	read_text(AT_FDCWD, BEFORE, before, sizeof(before));
	have_all_ended(POLLS_MAX);
	observe_processes();
	read_text(AT_FDCWD, AFTER, after, sizeof(after));
	held = kib_of(before, "\nUnevictable:");
	observe_u64(name("ramfs_before_kib"), held);
	observe_u64(name("ramfs_after_kib"), kib_of(after, "\nUnevictable:"));
	observe_u64(name("shmem_before_kib"), kib_of(before, "\nShmem:"));
	observe_u64(name("shmem_after_kib"), kib_of(after, "\nShmem:"));

	kill(-1, SIGKILL);
	if (!have_all_ended(POLLS_MAX))
		fault("there are processes that cannot be killed");
	read_text(AT_FDCWD, AFTER, after, sizeof(after));
	left = kib_of(after, "\nUnevictable:");
	observe_bool(name("memory_came_back"), left < held / 20);
}

static void observe_all(const char *of_flow)
{
	flow = of_flow;
	observe_way();
	observe_memory();
	in_child(look_below);
}

#define LEFT_BY(id) FLOW(id) { observe_all(#id); }

LEFT_BY(busybox)
LEFT_BY(initramfs_tools)
LEFT_BY(klibc)
LEFT_BY(dracut)
LEFT_BY(systemd)
LEFT_BY(systemd_no_mnt)
