// SPDX-License-Identifier: GPL-2.0-only
/*
 * How it has always been done, and how switch_root still does it: move the new
 * root over the old one, and chroot. It has to go on working; and to be what
 * is left where pivot_root() fails, which is what systemd tries first.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <sys/mount.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

static void move_over_root(const char *flow)
{
	attempt(join(flow, "move"), mount(".", "/", NULL, MS_MOVE, NULL));
	attempt(join(flow, "chroot"), chroot("."));
}

FLOW(legacy)
{
	enter_new_root("legacy");
	observe_lack("legacy", NEW_ROOT);
	move_over_root("legacy");
	must(chdir("/"));

	observe_new_root("legacy");
	observe_bool("legacy.rootfs_is_listed", has_mount_of_type("rootfs"));
	observe_below("legacy");
}

FLOW(fallback)
{
	bool is_pivoted;

	enter_new_root("fallback");
	observe_lack("fallback", NEW_ROOT);
	is_pivoted = !attempt("fallback.pivot_root", pivot_root(".", "."));
	observe_str("fallback.way", is_pivoted ? "pivot_root" : "move");
	if (is_pivoted)
		attempt("fallback.umount2", umount2(".", MNT_DETACH));
	else
		move_over_root("fallback");
	must(chdir("/"));

	observe_new_root("fallback");
	observe_bool("fallback.rootfs_is_listed", has_mount_of_type("rootfs"));
	observe_below("fallback");
}
