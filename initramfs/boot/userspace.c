// SPDX-License-Identifier: GPL-2.0-only
/* For a series without guest code: that userspace runs is all there is. */
#include <sys/utsname.h>

#include "harness.h"

FLOW(boot)
{
	struct utsname name;

	must(uname(&name));
	observe_bool("boot.userspace", true);
	observe_str("boot.release", name.release);
	observe_str("boot.version", name.version);
	observe_str("boot.machine", name.machine);
	observe_str("boot.root_fs", fs_name("/"));
	observe_str("boot.can_fork_and_exec", run_program(ALIVE));
}
