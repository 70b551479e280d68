// SPDX-License-Identifier: GPL-2.0-only
/*
 * How it has always been done, and how switch_root still does it: move the new
 * root over the old one, and chroot. It has to go on working.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mount.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

FLOW(legacy)
{
	enter_new_root("legacy");
	attempt("legacy.move", mount(".", "/", NULL, MS_MOVE, NULL));
	attempt("legacy.chroot", chroot("."));
	must(chdir("/"));

	observe_new_root("legacy");
	observe_bool("legacy.rootfs_is_listed", has_mount_of_type("rootfs"));
}
