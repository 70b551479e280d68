// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs that initramfs images leave themselves with: each deletes what
 * is on rootfs, moves the new root over it, and execs the init that is there.
 * That init is a copy of this one, which goes on with the flow.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

/* Where the next init finds the old root, which has no path any more. */
#define OLD_ROOT 9

static void switch_root_by(const char *flow, const char *const argv[])
{
	enter_new_root(flow);
	furnish_for_init();
	must(dup2(must(open("/", O_PATH | O_DIRECTORY)), OLD_ROOT));
	step(join(flow, "exec"));
	observe_errno(join(flow, "exec"), go_on_in(flow, argv));
}

static void observe_switched(const char *flow)
{
	/* util-linux has left a child that deletes. */
	while (wait(NULL) > 0)
		;
	observe_new_root(flow);
	observe_bool(join(flow, "rootfs_is_listed"),
		     has_mount_of_type("rootfs"));
	observe_bool(join(flow, "initramfs_is_deleted"),
		     faccessat(OLD_ROOT, "init", F_OK, 0) < 0);
	observe_below(flow);
	close(OLD_ROOT);
}

FLOW(switch_root_busybox)
{
	const char *const argv[] = {
		"/bin/busybox", "switch_root", "/newroot", "/init", NULL,
	};

	switch_root_by("switch_root_busybox", argv);
}

REST_OF(switch_root_busybox)
{
	observe_switched("switch_root_busybox");
}

FLOW(switch_root_util)
{
	const char *const argv[] = {
		"/bin/switch_root", "/newroot", "/init", NULL,
	};

	switch_root_by("switch_root_util", argv);
}

REST_OF(switch_root_util)
{
	observe_switched("switch_root_util");
}
