// SPDX-License-Identifier: GPL-2.0-only
/*
 * What pivot_root() refuses on every kernel, nullfs or not, each with what
 * makes it so and, but for that one thing, the call that is not refused.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

static void observe_sharing(const char *what)
{
	struct mountinfo root, target;

	if (!find_mount("/", &root) || !find_mount("/tmp", &target))
		fault("/ or /tmp is not in /proc/self/mountinfo");
	observe_bool(join(what, "parent_is_shared"), root.is_shared);
	observe_bool(join(what, "target_is_shared"), target.is_shared);
}

static void pivot_shared(void)
{
	leave_namespace();
	enter_tmpfs();
	observe_lack("shared", "/tmp");

	must(mount(NULL, "/", NULL, MS_SHARED, NULL));
	observe_sharing("shared.parent");
	attempt("shared.parent.pivot_root", pivot_root(".", "."));

	must(mount(NULL, "/", NULL, MS_PRIVATE, NULL));
	must(mount(NULL, "/tmp", NULL, MS_SHARED, NULL));
	observe_sharing("shared.target");
	attempt("shared.target.pivot_root", pivot_root(".", "."));

	must(mount(NULL, "/tmp", NULL, MS_PRIVATE, NULL));
	observe_sharing("shared.none");
	attempt("shared.none.pivot_root", pivot_root(".", "."));
}

FLOW(shared)
{
	in_child(pivot_shared);
}

static void pivot_without_capability(void)
{
	must(setuid(1000));
	attempt("busy.no_capability", pivot_root(".", "."));
}

/* The root of a bind mount stays when its folder has gone from where it was. */
static void pivot_to_removed_folder(void)
{
	must(mkdir("/removed", 0755));
	must(mount("/removed", "folder", NULL, MS_BIND, NULL));
	must(rmdir("/removed"));
	must(chdir("folder"));
	observe_bool("busy.removed_is_mount", is_mount_root("."));
	attempt("busy.removed_folder", pivot_root(".", "."));
	must(chdir(".."));
	must(umount2("folder", MNT_DETACH));
}

static void pivot_busy(void)
{
	leave_namespace();
	enter_tmpfs();
	must(mkdir("folder", 0755));
	close(must(open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
	observe_lack("busy", "/tmp");

	must(chdir("/"));
	attempt("busy.cwd_on_root", pivot_root(".", "."));
	attempt("busy.put_old_on_root", pivot_root("/tmp", "/dev"));
	attempt("busy.put_old_outside", pivot_root("/tmp", "/proc"));
	must(chdir("/sys"));
	observe_bool("busy.sys_is_mount", is_mount_root("."));
	attempt("busy.no_mount", pivot_root(".", "."));
	must(chdir("/tmp/folder"));
	attempt("busy.folder_of_target", pivot_root(".", "."));
	must(chdir("/tmp"));
	in_child(pivot_to_removed_folder);
	attempt("busy.file", pivot_root(".", "file"));
	attempt("busy.missing", pivot_root("missing", "."));
	in_child(pivot_without_capability);
	attempt("busy.none", pivot_root(".", "."));
}

FLOW(busy)
{
	in_child(pivot_busy);
}
