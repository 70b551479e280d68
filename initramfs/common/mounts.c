// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel says of its mounts: mountinfo, statx, statmount, statfs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "harness.h"

/* Newer than the headers of many a toolchain. */
#ifndef __NR_statmount
#define __NR_statmount 457
#endif
#ifndef __NR_listmount
#define __NR_listmount 458
#endif
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif
#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif
#ifndef NULL_FS_MAGIC
#define NULL_FS_MAGIC 0x4E554C4C
#endif

#define WANT_SB_BASIC 0x01
#define WANT_MNT_BASIC 0x02
#define WANT_FS_TYPE 0x20
#define WANTED (WANT_SB_BASIC | WANT_MNT_BASIC | WANT_FS_TYPE)

/* struct mnt_id_req and struct statmount: their first version is enough. */
struct id_request {
	uint32_t size;
	uint32_t spare;
	uint64_t mnt_id;
	uint64_t param;
};

struct statmount_reply {
	uint32_t size;
	uint32_t unused1;
	uint64_t mask;
	uint32_t sb_dev_major;
	uint32_t sb_dev_minor;
	uint64_t sb_magic;
	uint32_t sb_flags;
	uint32_t fs_type;	/* where in `strings` */
	uint64_t mnt_id;
	uint64_t mnt_parent_id;
	uint32_t mnt_id_old;
	uint32_t mnt_parent_id_old;
	uint64_t unused2[56];
	char strings[512];
};

_Static_assert(offsetof(struct statmount_reply, strings) == 512,
	       "the kernel's struct statmount is 512 bytes long");

int stat_mount(uint64_t id, struct mountstat *out)
{
	struct id_request request = {
		.size = sizeof(request), .mnt_id = id, .param = WANTED,
	};
	struct statmount_reply reply = { 0 };

	if (syscall(__NR_statmount, &request, &reply, sizeof(reply), 0) < 0)
		return -1;
	if ((reply.mask & WANTED) != WANTED ||
	    reply.fs_type >= sizeof(reply.strings)) {
		errno = EPROTO;
		return -1;
	}
	out->id = reply.mnt_id;
	out->parent_id = reply.mnt_parent_id;
	out->device = makedev(reply.sb_dev_major, reply.sb_dev_minor);
	out->magic = reply.sb_magic;
	out->old_id = reply.mnt_id_old;
	out->old_parent_id = reply.mnt_parent_id_old;
	snprintf(out->type, sizeof(out->type), "%.31s",
		 reply.strings + reply.fs_type);
	return 0;
}

long list_mounts(uint64_t id, uint64_t *ids, size_t size)
{
	struct id_request request = { .size = sizeof(request), .mnt_id = id };

	return syscall(__NR_listmount, &request, ids, size, 0);
}

uint64_t unique_mount_id(const char *path)
{
	struct statx st;

	must(statx(AT_FDCWD, path, 0, STATX_MNT_ID_UNIQUE, &st));
	return st.stx_mask & STATX_MNT_ID_UNIQUE ? st.stx_mnt_id : 0;
}

bool is_mount_root(const char *path)
{
	struct statx st;

	must(statx(AT_FDCWD, path, 0, 0, &st));
	if (!(st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
		fault("this kernel's statx does not tell mount roots (v5.8)");
	return st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

const char *fs_name(const char *path)
{
	static char number[24];
	struct statfs st;

	must(statfs(path, &st));
	switch ((unsigned long)st.f_type) {
	case TMPFS_MAGIC:
		return "tmpfs";
	case RAMFS_MAGIC:
		return "ramfs";
	case NULL_FS_MAGIC:
		return "nullfs";
	case EXT4_SUPER_MAGIC:	/* and of ext2 and ext3 */
		return "ext4";
	case SQUASHFS_MAGIC:
		return "squashfs";
	}
	snprintf(number, sizeof(number), "0x%lx", (unsigned long)st.f_type);
	return number;
}

/* Takes the next field off the line; "" where there is none. */
static const char *take_field(char **line)
{
	const char *field = strsep(line, " ");

	return field ? field : "";
}

static void copy_text(char *to, size_t size, const char *from)
{
	if ((size_t)snprintf(to, size, "%s", from) >= size)
		fault("too long for %zu bytes: %s", size, from);
}

/* 24 23 0:21 / /mnt rw,relatime shared:1 - tmpfs none rw */
static void parse_line(char *line, struct mountinfo *m)
{
	const char *field;
	char *last;

	/* The file system's own options come last; its size is one. */
	last = strrchr(line, ' ');
	if (last)
		*last = '\0';

	memset(m, 0, sizeof(*m));
	m->id = atoi(take_field(&line));
	m->parent_id = atoi(take_field(&line));
	take_field(&line);
	copy_text(m->rest, sizeof(m->rest), line ? line : "");
	take_field(&line);
	copy_text(m->point, sizeof(m->point), take_field(&line));
	take_field(&line);
	while (strcmp(field = take_field(&line), "-")) {
		if (!*field)
			fault("/proc/self/mountinfo has a line with no \"-\"");
		if (!strncmp(field, "shared:", strlen("shared:")))
			m->is_shared = true;
	}
	copy_text(m->type, sizeof(m->type), take_field(&line));
}

typedef void see_fn(const struct mountinfo *m, void *arg);

/* Calls `see` with each mount, in the file's order; returns how many. */
static unsigned int read_mountinfo(see_fn *see, void *arg)
{
	static char text[32768];
	unsigned int count = 0;
	char *rest = text, *line;
	struct mountinfo m;

	read_text(AT_FDCWD, "/proc/self/mountinfo", text, sizeof(text));
	while ((line = strsep(&rest, "\n")) && *line) {
		parse_line(line, &m);
		if (see)
			see(&m, arg);
		count++;
	}
	return count;
}

struct wanted {
	const char *name;
	struct mountinfo *found;
	bool is_found;
};

static void match_point(const struct mountinfo *m, void *arg)
{
	struct wanted *wanted = arg;

	if (strcmp(m->point, wanted->name))
		return;
	*wanted->found = *m;
	wanted->is_found = true;
}

static void match_type(const struct mountinfo *m, void *arg)
{
	struct wanted *wanted = arg;

	if (!strcmp(m->type, wanted->name))
		wanted->is_found = true;
}

bool find_mount(const char *point, struct mountinfo *found)
{
	struct wanted wanted = { .name = point, .found = found };

	read_mountinfo(match_point, &wanted);
	return wanted.is_found;
}

bool has_mount_of_type(const char *type)
{
	struct wanted wanted = { .name = type };

	read_mountinfo(match_type, &wanted);
	return wanted.is_found;
}

unsigned int count_mounts(void)
{
	return read_mountinfo(NULL, NULL);
}
