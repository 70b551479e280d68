// SPDX-License-Identifier: GPL-2.0-only
/* What stands under userspace before it has done anything. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

const char *join(const char *flow, const char *name)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s.%s", flow, name);
	return text;
}

void observe_parent(const char *flow)
{
	struct mountstat root, parent;
	uint64_t id = unique_mount_id("/");

	/* Before v6.8 nothing tells. */
	if (observe_errno(join(flow, "statmount"), stat_mount(id, &root)) < 0)
		return;
	observe_bool(join(flow, "has_parent"), root.parent_id != root.id);
	must(stat_mount(root.parent_id, &parent));
	observe_str(join(flow, "parent_type"), parent.type);
	observe_hex(join(flow, "parent_magic"), parent.magic);
	observe_u64(join(flow, "parent_old_id"), parent.old_id);
}

void observe_below(const char *flow)
{
	struct mountstat root, parent;

	if (stat_mount(unique_mount_id("/"), &root) < 0) {
		observe_str(join(flow, "below"), errno_name(errno));
		return;
	}
	must(stat_mount(root.parent_id, &parent));
	observe_str(join(flow, "below"),
		    parent.id == root.id ? "nothing" : parent.type);
}

void observe_root(void)
{
	static char text[4096];
	struct mountinfo root;

	if (!find_mount("/", &root))
		fault("there is no / in /proc/self/mountinfo");
	observe_u64("root.mnt_id", root.id);
	observe_u64("root.parent_mnt_id", root.parent_id);
	observe_str("root.mountinfo", root.rest);
	observe_str("root.type", root.type);
	observe_str("root.fs", fs_name("/"));
	observe_bool("root.nullfs_is_visible", has_mount_of_type("nullfs"));
	observe_errno("root.mount_nullfs",
		      mount("none", "/tmp", "nullfs", 0, NULL));
	observe_errno("root.fsopen_nullfs",
		      syscall(SYS_fsopen, "nullfs", FSOPEN_CLOEXEC));
	read_text(AT_FDCWD, "/proc/filesystems", text, sizeof(text));
	observe_bool("root.nullfs_is_registered", strstr(text, "nullfs"));
	read_text(AT_FDCWD, "/proc/mounts", text, sizeof(text));
	observe_bool("root.nullfs_is_in_proc_mounts", strstr(text, "nullfs"));
	observe_parent("root");
}
