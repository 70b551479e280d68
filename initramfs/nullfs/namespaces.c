// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies of the mount tree: in a mount namespace of one's own, in one owned by
 * another user namespace, where / is MNT_LOCKED, and with nothing left in it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

#define SOMEBODY 1000

static void detach_root(void)
{
	leave_namespace();
	attempt("namespace.umount", umount2("/", MNT_DETACH));
	attempt("namespace.umount_again", umount2("/", MNT_DETACH));
}

static void pivot_and_umount(const char *flow)
{
	int proc = must(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
	char text[4096];

	enter_tmpfs();
	observe_lack(flow, "/tmp");
	if (attempt(join(flow, "pivot_root"), pivot_root(".", ".")) < 0)
		return;
	attempt(join(flow, "pivot_umount"), umount2(".", MNT_DETACH));
	must(chdir("/"));
	observe_str(join(flow, "root_fs"), fs_name("/"));
	observe_bool(join(flow, "initramfs_is_reachable"),
		     !access("/init", F_OK));
	read_text(proc, "self/mountinfo", text, sizeof(text));
	observe_bool(join(flow, "only_tmpfs_is_listed"),
		     strchr(text, '\n') == strrchr(text, '\n') &&
		     strstr(text, " / / rw,relatime - tmpfs tmpfs "));
	observe_below(flow);
}

static void pivot_in_namespace(void)
{
	leave_namespace();
	pivot_and_umount("namespace");
}

FLOW(namespace)
{
	uint64_t before = unique_mount_id("/");

	in_child(detach_root);
	in_child(pivot_in_namespace);
	observe_bool("namespace.pid1_has_initramfs",
		     unique_mount_id("/") == before && !access("/init", F_OK));
}

/* Whoever it is becomes root there, with all capabilities. */
static void leave_user_namespace(void)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %d 1", geteuid());
	must(unshare(CLONE_NEWUSER | CLONE_NEWNS));
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", map);
	write_text("/proc/self/gid_map", map);
}

/*
 * Of the reasons for which umount2("/", MNT_DETACH) is EINVAL, no parent is
 * one and MNT_LOCKED the other that is left: / is a mount of this namespace.
 */
static void look_around(const char *flow, const char *after)
{
	struct mountinfo root;
	int self = must(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));

	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	if (!find_mount("/", &root))
		fault("there is no / in /proc/self/mountinfo");
	observe_str(join(flow, "mountinfo"), root.rest);
	observe_bool(join(flow, "nullfs_is_listed"),
		     has_mount_of_type("nullfs"));
	observe_below(flow);
	observe_bool(join(flow, "root_is_mount"), is_mount_root("/"));
	must(chdir("/proc"));
	observe_bool(join(flow, "proc_is_mount"), is_mount_root("."));
	attempt(join(flow, "pivot_to_locked"), pivot_root(".", "."));
	must(chdir("/"));
	attempt(join(flow, "umount"), umount2("/", MNT_DETACH));
	attempt(join(flow, "umount_again"), umount2("/", MNT_DETACH));
	pivot_and_umount(after);
	/* Does it uncover what the namespace's owner may not see? */
	attempt(join(flow, "umount_last"), umount2("/", MNT_DETACH));
	attempt(join(flow, "enter_again"), setns(self, CLONE_NEWNS));
	observe_str(join(flow, "fs_at_last"), fs_name("/"));
	observe_bool(join(flow, "initramfs_at_last"), !access("/init", F_OK));
}

static void as_root(void)
{
	leave_user_namespace();
	look_around("userns.root", "userns.root_new");
}

static void as_somebody(void)
{
	must(setgid(SOMEBODY));
	must(setuid(SOMEBODY));
	/* Or /proc/self would go on being root's. */
	must(prctl(PR_SET_DUMPABLE, 1));
	leave_user_namespace();
	look_around("userns.user", "userns.user_new");
}

FLOW(userns)
{
	in_child(as_root);
	in_child(as_somebody);
}

/*
 * Whether mountinfo, read on and on, comes to an end. In 6.18.5 it does not
 * where the namespace has one mount only: m_next() leaves *pos at 1 after it,
 * and m_start() takes that for "from the first id that is not below 1".
 * 6.19.11 leaves it behind that mount's id.
 */
static bool has_end(int proc, char *text, size_t size)
{
	int fd = must(openat(proc, "self/mountinfo", O_RDONLY | O_CLOEXEC));
	size_t len = 0;
	ssize_t n;

	while ((n = must(read(fd, text + len, size - 1 - len))))
		len += n;
	close(fd);
	text[len] = '\0';
	return len < size - 1;
}

/* All that is left in a mount namespace from which / has been taken. */
static void look_at_nothing(void)
{
	int proc = must(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
	bool is_below = stand_below_root();
	struct stat here, above;
	char text[4096], *line;
	uint64_t ids[4];

	observe_bool("empty.is_below_root", is_below);
	if (!is_below)
		return;
	observe_str("empty.fs", fs_name("/"));
	must(stat(".", &here));
	must(stat("..", &above));
	observe_bool("empty.nothing_is_above",
		     here.st_ino == above.st_ino &&
		     here.st_dev == above.st_dev);
	observe_bool("empty.initramfs_is_reachable",
		     !access("/init", F_OK) || !access("/bin/alive", F_OK));
	observe_bool("empty.proc_is_reachable", !access("/proc/self", F_OK));
	observe_u64("empty.mounts_below",
		    must(list_mounts(unique_mount_id("/"), ids, 4)));
	observe_below("empty");
	observe_bool("empty.mountinfo_ends",
		     has_end(proc, text, sizeof(text)));
	line = strchr(text, ':');
	observe_str("empty.mountinfo", strsep(&line, "\n"));
}

/* The control: the one mount is the initramfs, or two are left with nullfs. */
static void look_at_little(void)
{
	int proc = must(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
	char text[4096];

	leave_namespace();
	must(umount2("/proc", MNT_DETACH));
	observe_bool("empty.mountinfo_of_initramfs_ends",
		     has_end(proc, text, sizeof(text)));
}

FLOW(empty)
{
	in_child(look_at_nothing);
	in_child(look_at_little);
}
