// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nullfs from within: a child that has it as root and cwd tries all there is
 * to do to a folder. Nothing else can be reached from there, so it has taken
 * along what it needs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

static void create(void)
{
	int flags = O_RDWR | O_CREAT;

	attempt("standing.open_creat", open("file", flags, 0644));
	attempt("standing.open_creat_excl", open("file", flags | O_EXCL, 0644));
	attempt("standing.open_tmpfile", open(".", O_RDWR | O_TMPFILE, 0600));
	attempt("standing.mkdir", mkdir("folder", 0755));
	attempt("standing.mknod", mknod("node", S_IFCHR | 0600, 0x103));
	attempt("standing.mkfifo", mkfifo("fifo", 0600));
	attempt("standing.symlink", symlink("file", "symlink"));
	attempt("standing.link", link("file", "link"));
}

static void remove_and_rename(void)
{
	attempt("standing.unlink", unlink("file"));
	attempt("standing.rmdir", rmdir("folder"));
	attempt("standing.rename", rename("file", "other"));
	attempt("standing.rmdir_itself", rmdir("/"));
	attempt("standing.rename_itself", rename("/", "/other"));
}

static void change(void)
{
	int fd = must(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int flags;

	attempt("standing.chmod", chmod("/", 0777));
	attempt("standing.fchmod", fchmod(fd, 0777));
	attempt("standing.chown", chown("/", 1, 1));
	attempt("standing.utimensat", utimensat(AT_FDCWD, "/", NULL, 0));
	attempt("standing.truncate", truncate("/", 0));
	attempt("standing.setxattr",
		setxattr("/", "trusted.harness", "x", 1, 0));
	attempt("standing.setxattr_user",
		setxattr("/", "user.harness", "x", 1, 0));
	attempt("standing.removexattr", removexattr("/", "trusted.harness"));
	/* Is it chattr's to take the immutable flag away? */
	attempt("standing.getflags", ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags = 0;
	attempt("standing.setflags", ioctl(fd, FS_IOC_SETFLAGS, &flags));
	close(fd);
}

static void list_names(void)
{
	char names[128] = "";
	struct dirent *entry;
	DIR *folder;

	folder = opendir("/");
	if (!folder)
		fault("opendir /: %s", errno_name(errno));
	while ((entry = readdir(folder))) {
		if (strlen(names) + strlen(entry->d_name) + 2 > sizeof(names))
			fault("there is a lot in / after %s", names);
		strcat(names, *names ? " " : "");
		strcat(names, entry->d_name);
	}
	closedir(folder);
	observe_str("standing.names", names);
}

static void read_only(void)
{
	struct stat before, after;
	char mode[16], value[16];
	struct statfs fs;

	must(stat("/", &before));
	must(statfs("/", &fs));
	list_names();
	snprintf(mode, sizeof(mode), "%o", before.st_mode);
	observe_str("standing.fs", fs_name("/"));
	observe_hex("standing.magic", fs.f_type);
	observe_u64("standing.inode", before.st_ino);
	observe_str("standing.mode", mode);
	observe_u64("standing.uid", before.st_uid);
	observe_u64("standing.links", before.st_nlink);
	attempt("standing.open_read", open("/", O_RDONLY | O_CLOEXEC));
	attempt("standing.open_write", open("/", O_WRONLY | O_CLOEXEC));
	attempt("standing.open_missing", open("file", O_RDONLY | O_CLOEXEC));
	attempt("standing.access_r", access("/", R_OK));
	attempt("standing.access_w", access("/", W_OK));
	attempt("standing.access_x", access("/", X_OK));
	attempt("standing.listxattr", listxattr("/", NULL, 0));
	attempt("standing.getxattr",
		getxattr("/", "trusted.harness", value, sizeof(value)));
	attempt("standing.exec", execl("/init", "init", NULL));
	must(stat("/", &after));
	observe_bool("standing.times_stay",
		     before.st_atim.tv_sec == after.st_atim.tv_sec &&
		     before.st_atim.tv_nsec == after.st_atim.tv_nsec &&
		     before.st_mtim.tv_nsec == after.st_mtim.tv_nsec &&
		     before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
}

static void mount_and_umount(void)
{
	struct mountstat root;

	attempt("standing.remount_ro",
		mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	attempt("standing.remount_rw",
		mount(NULL, "/", NULL, MS_REMOUNT, NULL));
	attempt("standing.umount2", umount2("/", 0));
	attempt("standing.umount2_detach", umount2("/", MNT_DETACH));
	attempt("standing.umount2_force", umount2("/", MNT_FORCE));
	attempt("standing.umount2_expire", umount2("/", MNT_EXPIRE));
	attempt("standing.pivot_root", pivot_root(".", "."));
	attempt("standing.move", mount("/", "/", NULL, MS_MOVE, NULL));
	must(stat_mount(unique_mount_id("/"), &root));
	observe_bool("standing.has_parent", root.parent_id != root.id);
}

/* It is there to be mounted on; whoever enters the namespace is on top. */
static void mount_on_top(int self)
{
	struct mountstat root, parent;

	attempt("standing.mount_tmpfs",
		mount("tmpfs", "/", "tmpfs", 0, NULL));
	observe_str("standing.fs_below_tmpfs", fs_name("/"));
	must(setns(self, CLONE_NEWNS));
	observe_str("standing.fs_on_top", fs_name("/"));
	attempt("standing.mkdir_on_top", mkdir("/folder", 0755));
	must(stat_mount(unique_mount_id("/"), &root));
	must(stat_mount(root.parent_id, &parent));
	observe_str("standing.parent_of_top", parent.type);
	attempt("standing.bind", mount("/folder", "/", NULL, MS_BIND, NULL));
	attempt("standing.umount_top", umount2("/", MNT_DETACH));
	must(setns(self, CLONE_NEWNS));
	attempt("standing.umount_tmpfs", umount2("/", MNT_DETACH));
	must(setns(self, CLONE_NEWNS));
	observe_str("standing.fs_at_last", fs_name("/"));
}

static void stand(void)
{
	int proc = must(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
	bool is_below = stand_below_root();

	observe_bool("standing.is_below_root", is_below);
	if (!is_below)
		return;
	read_only();
	create();
	remove_and_rename();
	change();
	mount_and_umount();
	mount_on_top(must(openat(proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC)));
}

FLOW(standing)
{
	in_child(stand);
}
