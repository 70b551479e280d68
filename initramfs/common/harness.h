/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What guest code is written against, and all it needs to include: flows,
 * records, children, mounts. The guest states what it saw and judges nothing;
 * docs/writing-a-scenario.md walks through an example.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- flows ------------------------------------------------------------ */

struct flow {
	const char *name;
	void (*run)(void);
};

/*
 * FLOW(pivot) { … } is all it takes: harness.flow=pivot runs it, in PID 1.
 * The linker gathers the descriptions in the section "flows".
 */
#define FLOW(id) DEFINE_FLOW(id, #id)

/* The rest of a flow that has gone on to another init: see go_on_in(). */
#define REST_OF(id) DEFINE_FLOW(rest_of_##id, #id REST)
#define REST ":rest"

#define DEFINE_FLOW(id, title)						\
	static void flow_##id(void);					\
	static const struct flow description_of_##id			\
	__attribute__((used, section("flows"),				\
		       aligned(__alignof__(struct flow)))) = {		\
		.name = title, .run = flow_##id,			\
	};								\
	static void flow_##id(void)

/* --- records ---------------------------------------------------------- */

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* About to do `name`: if nothing follows, this is where it hung. */
void step(const char *name);

void observe_str(const char *name, const char *value);
void observe_u64(const char *name, uint64_t value);
void observe_hex(const char *name, uint64_t value);
void observe_bool(const char *name, bool value);

/* A system call's result: "0", or the name of errno. Returns `ret`. */
long observe_errno(const char *name, long ret);

/* The usual way to put a system call to the test: step, call, observe. */
#define attempt(name, call) (step(name), observe_errno((name), (call)))

/*
 * The guest's own set-up failed, so nothing after it would mean anything:
 * say so, and end the boot.
 */
_Noreturn void fault(const char *format, ...) PRINTF_LIKE(1, 2);

/* For what has to work: must(mkdir("/a", 0755)) is a fault if it does not. */
#define must(call) check_result((call), #call)
long check_result(long ret, const char *call);

/* "EINVAL" for EINVAL. Kernel-internal ones have their names too. */
const char *errno_name(int error);

/* --- children --------------------------------------------------------- */

/*
 * Run `body` in a child, for what must not touch PID 1, and wait for it. Its
 * records count as everybody's. It is a fault if the child does not return.
 */
void in_child(void (*body)(void));

/* Run a program: "exit:0" and the like, "signal:11", or execve()'s errno. */
const char *run_program(const char *path);

/*
 * Replace PID 1 by a program that becomes init in the end, a copy of ours, as
 * `switch_root` does: argv[0] is its path. That init mounts /proc, opens its
 * own /dev/kmsg, goes on with the numbers of records, runs REST_OF(flow) and
 * then the flows after it. Only returns where the program cannot be run: -1
 * and errno. What is open stays open unless it is O_CLOEXEC.
 */
int go_on_in(const char *flow, const char *const argv[]);

/* Does nothing, and that well: for a flow that needs something to run. */
#define ALIVE "/bin/alive"

/* --- files ------------------------------------------------------------ */

/* Copy a file with its mode; `to` must not be there yet. */
void copy_file(const char *from, const char *to);

/*
 * All of a file, as a string, from a path that starts in an open folder (or
 * AT_FDCWD). Returns its length; it is a fault if that is not below `size`.
 */
size_t read_text(int folder, const char *path, char *text, size_t size);

/* Write `text` to a file that is there, in one write: /proc wants it so. */
void write_text(const char *path, const char *text);

/* --- mounts ----------------------------------------------------------- */

/* A line of /proc/self/mountinfo. */
struct mountinfo {
	int id;
	int parent_id;
	char point[256];
	char rest[512];		/* as in "/ / rw - rootfs rootfs" */
	char type[32];
	bool is_shared;
};

/* The topmost mount at `point`, as that file shows it. */
bool find_mount(const char *point, struct mountinfo *found);

/* Whether any mount that file shows is of this type. */
bool has_mount_of_type(const char *type);

/* How many lines it has. */
unsigned int count_mounts(void);

/* What statmount(2) knows: of hidden mounts as well. Ids are unique ones. */
struct mountstat {
	uint64_t id;
	uint64_t parent_id;
	uint64_t device;	/* as st_dev of what is on it */
	uint64_t magic;
	uint32_t old_id;
	uint32_t old_parent_id;
	char type[32];
};

/* Returns 0, or -1 with errno: ENOSYS before v6.8. */
int stat_mount(uint64_t id, struct mountstat *out);

/* The unique ids of what is mounted below one, or below THE_ROOT: how many. */
long list_mounts(uint64_t id, uint64_t *ids, size_t size);
#define THE_ROOT UINT64_MAX

/* The unique id of the mount that `path` is on; 0 where there is none. */
uint64_t unique_mount_id(const char *path);

/* Whether `path` is the root of its mount. */
bool is_mount_root(const char *path);

/* "tmpfs", "ramfs", "nullfs", "ext4", "squashfs"; else the number in hex. */
const char *fs_name(const char *path);

#endif
