// SPDX-License-Identifier: GPL-2.0-only
/* The tmpfs that is to become the root: made, and looked at afterwards. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

#define WITNESS "/witness"

struct condition {
	const char *name;
	bool is_met;
};

#define CONDITIONS 5

static void look_at_conditions(const char *point, struct condition *conditions)
{
	struct mountinfo root, target;

	if (!find_mount("/", &root) || !find_mount(point, &target))
		fault("/ or %s is not in /proc/self/mountinfo", point);
	memcpy(conditions, (struct condition[]) {
		{ "target_is_mount", is_mount_root(".") },
		{ "target_is_private", !target.is_shared },
		{ "target_is_on_root", target.parent_id == root.id },
		{ "parent_is_private", !root.is_shared },
		{ "root_is_mount", is_mount_root("/") },
	}, CONDITIONS * sizeof(*conditions));
}

void observe_preconditions(const char *flow, const char *point)
{
	struct condition conditions[CONDITIONS];
	unsigned int i;

	look_at_conditions(point, conditions);
	for (i = 0; i < CONDITIONS; i++)
		observe_bool(join(flow, conditions[i].name),
			     conditions[i].is_met);
}

void observe_lack(const char *flow, const char *point)
{
	struct condition conditions[CONDITIONS];
	char lack[160] = "";
	unsigned int i;

	look_at_conditions(point, conditions);
	for (i = 0; i < CONDITIONS; i++) {
		if (conditions[i].is_met)
			continue;
		strcat(lack, *lack ? " " : "");
		strcat(lack, conditions[i].name);
	}
	observe_str(join(flow, "lack"), *lack ? lack : "nothing");
}

void enter_new_root(const char *flow)
{
	struct mountinfo root;

	/* A flow that follows another would stand somewhere else. */
	if (!find_mount("/", &root) || strcmp(root.type, "rootfs"))
		fault("flow %s has to start on the initramfs", flow);
	must(mkdir(NEW_ROOT, 0755));
	must(mount("tmpfs", NEW_ROOT, "tmpfs", 0, NULL));
	must(chdir(NEW_ROOT));
	must(mkdir("proc", 0755));
	must(mount("proc", "proc", "proc", 0, NULL));
	copy_file(ALIVE, "alive");
}

static bool write_and_read_back(void)
{
	static const char text[] = "new root";
	char seen[sizeof(text)] = "";
	int fd;

	fd = must(open(WITNESS, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	must(write(fd, text, sizeof(text)));
	must(pread(fd, seen, sizeof(seen), 0));
	close(fd);
	return !memcmp(text, seen, sizeof(text));
}

void observe_use(const char *flow)
{
	observe_bool(join(flow, "can_write"), write_and_read_back());
	observe_str(join(flow, "can_exec"), run_program("/alive"));
}

void observe_mount(const char *flow)
{
	struct mountinfo root;

	if (!find_mount("/", &root))
		fault("there is no / in /proc/self/mountinfo");
	observe_str(join(flow, "mountinfo"), root.rest);
	observe_str(join(flow, "root_type"), root.type);
	observe_str(join(flow, "root_fs"), fs_name("/"));
	observe_u64(join(flow, "root_parent_mnt_id"), root.parent_id);
}

void observe_new_root(const char *flow)
{
	observe_mount(flow);
	observe_bool(join(flow, "root_is_target"), !access("/alive", X_OK));
	observe_use(flow);
}

void furnish_for_init(void)
{
	must(mkdir("dev", 0755));
	must(mknod("dev/console", S_IFCHR | 0600, makedev(5, 1)));
	must(mknod("dev/kmsg", S_IFCHR | 0600, makedev(1, 11)));
	copy_file("/init", "init");
}

void leave_namespace(void)
{
	must(unshare(CLONE_NEWNS));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

void enter_tmpfs(void)
{
	must(mount("tmpfs", "/tmp", "tmpfs", 0, NULL));
	must(chdir("/tmp"));
}

bool stand_below_root(void)
{
	int self;

	leave_namespace();
	self = must(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
	if (umount2("/", MNT_DETACH) < 0)
		return false;
	must(setns(self, CLONE_NEWNS));
	close(self);
	return true;
}
