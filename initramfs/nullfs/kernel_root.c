// SPDX-License-Identifier: GPL-2.0-only
/*
 * root= on the command line: the kernel mounts a disk and makes it the root
 * before there is any userspace, or leaves that to an initramfs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

#define NODE "/disk"

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

/*
 * The node of what root= names, from sysfs: there may be no devtmpfs, and
 * which disk it is depends on the kernel.
 */
static void make_node(void)
{
	char text[8192], path[64], *root;
	unsigned int major, minor;

	read_text(AT_FDCWD, "/proc/cmdline", text, sizeof(text));
	root = strstr(text, " root=/dev/");
	if (!root)
		fault("there is no root=/dev/ on the command line");
	root += strlen(" root=/dev/");
	root[strcspn(root, " \n")] = '\0';
	must(mount("sysfs", "/sys", "sysfs", 0, NULL));
	snprintf(path, sizeof(path), "/sys/block/%.32s/dev", root);
	read_text(AT_FDCWD, path, text, sizeof(text));
	if (sscanf(text, "%u:%u", &major, &minor) != 2)
		fault("%s holds no device number: %s", path, text);
	must(mknod(NODE, S_IFBLK | 0600, makedev(major, minor)));
}

/* There is an initramfs, so root= is for its init to make something of. */
FLOW(root_ext4_initrd)
{
	observe_mount("root_ext4_initrd");
	observe_bool("root_ext4_initrd.disk_is_mounted",
		     has_mount_of_type("ext4"));
	observe_below("root_ext4_initrd");
	make_node();
	must(mkdir(NEW_ROOT, 0755));
	must(mount(NODE, NEW_ROOT, "ext4", MS_RDONLY, NULL));
	must(chdir(NEW_ROOT));
	must(mount("/proc", "proc", NULL, MS_BIND, NULL));
	observe_lack("root_ext4_initrd", NEW_ROOT);
	if (attempt("root_ext4_initrd.pivot_root", pivot_root(".", ".")) < 0)
		return;
	attempt("root_ext4_initrd.umount2", umount2(".", MNT_DETACH));
	must(chdir("/"));
	observe_disk("root_ext4_initrd.after");
}
