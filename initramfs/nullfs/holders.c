// SPDX-License-Identifier: GPL-2.0-only
/*
 * What keeps a file system alive that has no path any more: a task's root, cwd,
 * program or open file, or a mount namespace in which it is still mounted,
 * whether that has a task or not.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "holders.h"

/* linux/nsfs.h, from v6.12 on. */
struct namespace_info {
	uint32_t size;
	uint32_t mounts;
	uint64_t id;
};

#define NEXT_NAMESPACE _IOR(0xb7, 11, struct namespace_info)
#define PREVIOUS_NAMESPACE _IOR(0xb7, 12, struct namespace_info)

static uint64_t device;
static char found[512];

/* Namespaces that have been looked at, by inode. */
static ino_t seen[64];
static unsigned int seen_count;

/* The one to be looked at, and what the child found there. */
static int namespace;
static bool *is_mounted;

static void add(const char *who, const char *how)
{
	size_t len = strlen(found);

	snprintf(found + len, sizeof(found) - len, "%s%s:%s",
		 len ? " " : "", who, how);
}

/* What is mounted below the top of the namespace, and what lies under that. */
static void look_into(void)
{
	struct mountstat mount;
	uint64_t ids[64];
	long count, i;

	must(setns(namespace, CLONE_NEWNS));
	count = list_mounts(THE_ROOT, ids, sizeof(ids) / sizeof(*ids));
	if (count < 0)	/* before v6.8, where nothing tells */
		return;
	for (i = 0; i < count; i++)
		if (!stat_mount(ids[i], &mount) && mount.device == device)
			*is_mounted = true;
	mount.parent_id = unique_mount_id("/");
	do {
		must(stat_mount(mount.parent_id, &mount));
		if (mount.device == device)
			*is_mounted = true;
	} while (mount.parent_id != mount.id);
}

/* Takes the open namespace, and closes it. */
static void look_at_namespace(int fd, const char *who)
{
	struct stat st;
	unsigned int i;

	must(fstat(fd, &st));
	for (i = 0; i < seen_count && seen[i] != st.st_ino; i++)
		;
	if (i == seen_count) {
		if (i == sizeof(seen) / sizeof(*seen))
			fault("there are more than %u mount namespaces", i);
		seen[seen_count++] = st.st_ino;
		namespace = fd;
		*is_mounted = false;
		in_child(look_into);
		if (*is_mounted)
			add(who, "mnt_ns");
	}
	close(fd);
}

static void look_at_files(int task, const char *who)
{
	struct dirent *entry;
	struct stat st;
	DIR *files;
	int fd;

	fd = openat(task, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	files = fd < 0 ? NULL : fdopendir(fd);
	if (!files)
		return;
	while ((entry = readdir(files)))
		if (isdigit(*entry->d_name) &&
		    !fstatat(fd, entry->d_name, &st, 0) && st.st_dev == device)
			add(who, "fd");
	closedir(files);
}

static void look_at_task(const char *pid)
{
	static const char *const links[] = { "root", "cwd", "exe" };
	char path[32], who[80];		/* a kworker tells what it does */
	struct stat st;
	unsigned int i;
	int task, fd;

	snprintf(path, sizeof(path), "/proc/%.10s", pid);
	task = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (task < 0)	/* it has ended */
		return;
	read_text(task, "comm", who, sizeof(who));
	who[strcspn(who, "\n")] = '\0';
	for (i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (!fstatat(task, links[i], &st, 0) && st.st_dev == device)
			add(who, links[i]);
	look_at_files(task, who);
	fd = openat(task, "ns/mnt", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		look_at_namespace(fd, who);
	close(task);
}

/* Those without a task: held by a file, or by nothing but a mistake. */
static void walk_namespaces(unsigned long direction)
{
	struct namespace_info info;
	int fd, next;

	fd = must(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
	while ((next = ioctl(fd, direction, &info)) >= 0) {
		close(fd);
		fd = must(dup(next));
		look_at_namespace(next, "nobody");
	}
	close(fd);
}

const char *find_holders(uint64_t of)
{
	struct dirent *entry;
	DIR *tasks;

	device = of;
	*found = '\0';
	seen_count = 0;
	is_mounted = mmap(NULL, sizeof(*is_mounted), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (is_mounted == MAP_FAILED)
		fault("mmap");
	tasks = opendir("/proc");
	if (!tasks)
		fault("opendir /proc");
	while ((entry = readdir(tasks)))
		if (isdigit(*entry->d_name))
			look_at_task(entry->d_name);
	closedir(tasks);
	walk_namespaces(NEXT_NAMESPACE);
	walk_namespaces(PREVIOUS_NAMESPACE);
	return *found ? found : "none";
}
