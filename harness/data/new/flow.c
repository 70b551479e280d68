// SPDX-License-Identifier: GPL-2.0-only
/* Says what the kernel does, and judges nothing: expect.toml does. It runs as PID 1. */
#include <unistd.h>

#include "harness.h"

FLOW(@FLOW@)
{
	/* A fact. Also: observe_u64, observe_hex, observe_bool, observe_errno. */
	observe_str("@FLOW@.root_fs", fs_name("/"));

	/* A system call: if the kernel hangs in it, the verdict says so. */
	attempt("@FLOW@.unlink_version", unlink("/proc/version"));
}
