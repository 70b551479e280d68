// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cover letter's own words, by PID 1 on its initramfs:
 *
 *	chdir(rootfs);
 *	pivot_root(".", ".");
 *	umount2(".", MNT_DETACH);
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

/*
 * That it is / which the call does not like, and nothing else: in a child the
 * same call, in a root that is a tmpfs on a tmpfs, has to work on any kernel.
 * Only the child's root is pivoted. Its mounts are left to the machine's end.
 */
static void pivot_elsewhere(void)
{
	must(mount("tmpfs", "/tmp", "tmpfs", 0, NULL));
	must(chroot("/tmp"));
	must(chdir("/"));
	must(mkdir("newroot", 0755));
	must(mount("tmpfs", "newroot", "tmpfs", 0, NULL));
	must(chdir("newroot"));
	attempt("pivot.on_other_root", pivot_root(".", "."));
}

static void observe_rest(void)
{
	observe_bool("pivot.rootfs_is_listed", has_mount_of_type("rootfs"));
	observe_bool("pivot.nullfs_is_listed", has_mount_of_type("nullfs"));
	observe_bool("pivot.initramfs_is_reachable", !access("/init", F_OK));
	observe_parent("pivot");
}

FLOW(pivot)
{
	observe_root();
	enter_new_root("pivot");
	observe_preconditions("pivot", NEW_ROOT);
	if (attempt("pivot.pivot_root", pivot_root(".", ".")) < 0) {
		in_child(pivot_elsewhere);
		observe_rest();
		return;
	}
	attempt("pivot.umount2", umount2(".", MNT_DETACH));
	must(chdir("/"));

	observe_new_root("pivot");
	observe_u64("pivot.mounts", count_mounts());
	observe_rest();
}
