// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cover letter's other form: the initramfs is kept, as a folder of the new
 * root. Put down as it is there, pivot_root(".", "/initramfs") looks that
 * folder up on the old root; the form that works has it inside the new one.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

FLOW(keep)
{
	struct mountinfo old;

	enter_new_root("keep");
	observe_preconditions("keep", NEW_ROOT);
	must(mkdir("initramfs", 0755));
	attempt("keep.as_written", pivot_root(".", "/initramfs"));
	must(mkdir("/initramfs", 0755));
	attempt("keep.as_written_and_made", pivot_root(".", "/initramfs"));
	if (attempt("keep.pivot_root", pivot_root(".", "initramfs")) < 0)
		return;
	must(chdir("/"));

	observe_new_root("keep");
	observe_bool("keep.initramfs_is_reachable",
		     !access("/initramfs/init", X_OK));
	if (!find_mount("/initramfs", &old))
		fault("/initramfs is not in /proc/self/mountinfo");
	observe_str("keep.old_root_type", old.type);
}
