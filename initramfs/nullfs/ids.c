// SPDX-License-Identifier: GPL-2.0-only
/* Which mounts are seen, by what id, before and after a pivot in a child. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

#define LIMIT 16
#define LIMIT_TEXT "16"

static bool is_listed(uint64_t id, uint64_t below)
{
	uint64_t ids[16];
	long count, i;

	count = list_mounts(below, ids, sizeof(ids) / sizeof(*ids));
	for (i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* Old ids are given again after an umount; only unique ones tell mounts. */
static void observe_ids(const char *when)
{
	struct mountstat root, parent;

	if (stat_mount(unique_mount_id("/"), &root) < 0)
		return;
	must(stat_mount(root.parent_id, &parent));
	observe_u64(join(when, "old_id"), root.old_id);
	observe_u64(join(when, "old_parent_id"), root.old_parent_id);
	observe_str(join(when, "parent_type"), parent.type);
	observe_hex(join(when, "parent_magic"), parent.magic);
	observe_bool(join(when, "parent_is_bottom"),
		     parent.parent_id == parent.id);
	observe_bool(join(when, "unique_id_is_above_parents"),
		     root.id > parent.id);
	observe_bool(join(when, "root_is_listed"),
		     is_listed(root.id, THE_ROOT));
	observe_bool(join(when, "parent_is_listed"),
		     parent.id != root.id && is_listed(parent.id, THE_ROOT));
	observe_bool(join(when, "root_is_listed_below_parent"),
		     is_listed(root.id, parent.id));
}

/*
 * The kernel's own count of the mounts of this namespace, from how many more
 * there may be. A copy of it would be counted as it is copied, so PID 1's is
 * looked at.
 */
static void observe_count(void)
{
	int proc = must(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
	unsigned int more = 0, i;
	char limit[32];

	read_text(proc, "sys/fs/mount-max", limit, sizeof(limit));
	close(proc);
	write_text("/proc/sys/fs/mount-max", LIMIT_TEXT);
	while (more < LIMIT && !mount("tmpfs", "/tmp", "tmpfs", 0, NULL))
		more++;
	attempt("ids.mount_at_limit", mount("tmpfs", "/tmp", "tmpfs", 0, NULL));
	write_text("/proc/sys/fs/mount-max", limit);
	for (i = 0; i < more; i++)
		must(umount2("/tmp", MNT_DETACH));
	observe_u64("ids.counted_mounts", LIMIT - more);
}

static void pivot_and_look(void)
{
	uint64_t before = unique_mount_id("/"), target;
	struct mountstat gone;

	leave_namespace();
	enter_tmpfs();
	must(mkdir("proc", 0755));
	must(mount("/proc", "proc", NULL, MS_BIND, NULL));
	target = unique_mount_id(".");
	if (attempt("ids.pivot_root", pivot_root(".", ".")) < 0)
		return;
	attempt("ids.umount2", umount2(".", MNT_DETACH));
	must(chdir("/"));
	observe_ids("ids.after");
	observe_mount("ids.after");
	observe_u64("ids.after.mounts", count_mounts());
	observe_bool("ids.after.is_target", unique_mount_id("/") == target);
	observe_bool("ids.after.is_new", target > before);
	observe_errno("ids.after.statmount_initramfs",
		      stat_mount(before, &gone));
}

FLOW(ids)
{
	/* What the child does is no business of this namespace. */
	uint64_t before = unique_mount_id("/");

	observe_ids("ids.before");
	observe_mount("ids.before");
	observe_count();
	in_child(pivot_and_look);
	observe_bool("ids.root_is_unchanged", unique_mount_id("/") == before);
}
