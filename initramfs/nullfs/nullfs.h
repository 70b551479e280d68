/* SPDX-License-Identifier: GPL-2.0-only */
/* The steps that the flows of this scenario share. */
#ifndef NULLFS_H
#define NULLFS_H

#include <sys/syscall.h>
#include <unistd.h>

/* The C library has none. */
static inline long pivot_root(const char *new_root, const char *put_old)
{
	return syscall(SYS_pivot_root, new_root, put_old);
}

/* What userspace stands on before it does anything: root.* */
void observe_root(void);

/*
 * Mounts a fresh tmpfs with a /proc in it, chdirs to it, and states what a
 * pivot needs, so that an EINVAL after it can only mean the one thing.
 */
void enter_new_root(const char *flow);

/* That / is now the tmpfs, can be written to and has programs run from it. */
void observe_new_root(const char *flow);

/* What hides under /: FLOW.parent_* by statmount(2), which sees nullfs too. */
void observe_parent(const char *flow);

/* "pivot" and "cwd" make "pivot.cwd"; good until the next call. */
const char *join(const char *flow, const char *name);

#endif
