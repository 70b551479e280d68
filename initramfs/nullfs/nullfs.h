/* SPDX-License-Identifier: GPL-2.0-only */
/* The steps that the flows of this scenario share. */
#ifndef NULLFS_H
#define NULLFS_H

#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library has none. */
static inline long pivot_root(const char *new_root, const char *put_old)
{
	return syscall(SYS_pivot_root, new_root, put_old);
}

/* What userspace stands on before it does anything: root.* */
void observe_root(void);

/* Mounts a fresh tmpfs with a /proc in it, and chdirs to it. */
#define NEW_ROOT "/newroot"
void enter_new_root(const char *flow);

/* That / is now the tmpfs, can be written to and has programs run from it. */
void observe_new_root(const char *flow);

/* That / can be written to, and has programs run from it: `alive` on it. */
void observe_use(const char *flow);

/* The file system and the ids of /, and whether rootfs is listed. */
void observe_mount(const char *flow);

/* What hides under /: FLOW.parent_* by statmount(2), which sees nullfs too. */
void observe_parent(const char *flow);

/* The same in a word, FLOW.below: "nullfs", or "nothing" if / is the bottom. */
void observe_below(const char *flow);

/* For an init that is to go on in a new root: nodes in its /dev, and itself. */
void furnish_for_init(void);

/* A mount namespace of one's own, from which nothing gets out. In a child. */
void leave_namespace(void);

/* A fresh tmpfs, private, on /tmp, which becomes the cwd. In a child. */
void enter_tmpfs(void);

/*
 * What a pivot to the cwd, a mount at `point`, needs besides a root that has a
 * parent, so that EINVAL can only mean the one thing: each for itself, or as
 * FLOW.lack, which says "nothing" or names what is missing.
 */
void observe_preconditions(const char *flow, const char *point);
void observe_lack(const char *flow, const char *point);

/*
 * Make what is below / the root and the cwd, by taking / away in a mount
 * namespace of one's own and entering that again. False where / stays: a child
 * that gets true has no path to anything any more.
 */
bool stand_below_root(void);

/* "pivot" and "cwd" make "pivot.cwd"; good until the next call. */
const char *join(const char *flow, const char *name);

#endif
