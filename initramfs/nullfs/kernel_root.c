// SPDX-License-Identifier: GPL-2.0-only
/*
 * root= on the command line: the kernel mounts a disk and makes it the root
 * before there is any userspace, or leaves that to an initramfs.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

/* Under the disk is what it was mounted on: nullfs, or rootfs as made. */
static void observe_base(const char *flow)
{
	struct mountstat root, base;

	if (stat_mount(unique_mount_id("/"), &root) < 0)
		return;
	must(stat_mount(root.parent_id, &base));
	observe_hex(join(flow, "magic_below"), base.magic);
}

static void observe_disk(const char *flow)
{
	struct statvfs fs;

	must(statvfs("/", &fs));
	observe_mount(flow);
	observe_bool(join(flow, "is_read_only"), fs.f_flag & ST_RDONLY);
	attempt(join(flow, "mkdir"), mkdir("/made", 0755));
	observe_str(join(flow, "can_exec"), run_program(ALIVE));
	observe_bool(join(flow, "rootfs_is_listed"),
		     has_mount_of_type("rootfs"));
	observe_bool(join(flow, "nullfs_is_listed"),
		     has_mount_of_type("nullfs"));
	observe_below(flow);
	observe_base(flow);
}

FLOW(root_ext4)
{
	observe_disk("root_ext4");
}

FLOW(root_ro)
{
	observe_disk("root_ro");
}

FLOW(root_squashfs)
{
	observe_disk("root_squashfs");
}

/* There is an initramfs, so root= is for its init to make something of. */
FLOW(root_ext4_initrd)
{
	observe_mount("root_ext4_initrd");
	observe_bool("root_ext4_initrd.disk_is_mounted",
		     has_mount_of_type("ext4"));
	observe_below("root_ext4_initrd");
	must(mount("devtmpfs", "/dev", "devtmpfs", 0, NULL));
	must(mkdir(NEW_ROOT, 0755));
	must(mount("/dev/vda", NEW_ROOT, "ext4", MS_RDONLY, NULL));
	must(chdir(NEW_ROOT));
	must(mount("/proc", "proc", NULL, MS_BIND, NULL));
	observe_lack("root_ext4_initrd", NEW_ROOT);
	if (attempt("root_ext4_initrd.pivot_root", pivot_root(".", ".")) < 0)
		return;
	attempt("root_ext4_initrd.umount2", umount2(".", MNT_DETACH));
	must(chdir("/"));
	observe_disk("root_ext4_initrd.after");
}
