// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs kernel selftests, which know nothing of us: each is a program that
 * prints KTAP. The archive holds one folder of them, and /kselftest/plan:
 * the folder's name, then the programs to run, a line each.
 *
 * What a program prints goes to /dev/kmsg, a record a line, so that it stands
 * whole and in order with what the kernel says meanwhile: its KTAP as subtests
 * of the program, all else as comments.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define FOLDER "/kselftest"
#define PLAN FOLDER "/plan"
#define NEWROOT "/newroot"
#define PROGRAMS_MAX 64
#define LINE_MAX_SHOWN 800	/* a record has 976 bytes before v6.4 */
#define POLL_MS 50
#define EXIT_SKIP 4		/* KSFT_SKIP */

static char plan[8192];
static const char *flow;
static const char *folder;
static char *programs[PROGRAMS_MAX];
static unsigned int count;
static int kmsg;

/* --- what is printed ---------------------------------------------------- */

static void say(const char *format, ...) PRINTF_LIKE(1, 2);

static void say(const char *format, ...)
{
	char text[LINE_MAX_SHOWN + 64] = "<1>";
	va_list args;
	size_t len;

	va_start(args, format);
	vsnprintf(text + 3, sizeof(text) - 4, format, args);
	va_end(args);
	len = strlen(text);
	/* Without a newline printk would wait for the rest of the line. */
	text[len++] = '\n';
	while (write(kmsg, text, len) < 0)
		if (errno != EINTR)
			fault("write /dev/kmsg: %s", errno_name(errno));
}

static bool starts_with(const char *text, const char *head)
{
	return !strncmp(text, head, strlen(head));
}

static bool is_ktap(const char *text)
{
	text += strspn(text, " \t");
	return starts_with(text, "ok ") || starts_with(text, "not ok ") ||
	       starts_with(text, "1..") || starts_with(text, "TAP version ") ||
	       starts_with(text, "KTAP version ") || starts_with(text, "# ");
}

static void say_line(char *text)
{
	char *c;

	for (c = text; *c; c++)
		if ((unsigned char)*c < ' ' && *c != '\t')
			*c = '?';
	if (text[strspn(text, " \t")])
		say("  %s%s", is_ktap(text) ? "" : "# ", text);
}

/* A line of a program's, until its newline, its end, or its great length. */
struct output {
	size_t len;
	char text[LINE_MAX_SHOWN + 1];
};

static void flush_line(struct output *out)
{
	out->text[out->len] = '\0';
	say_line(out->text);
	out->len = 0;
}

static void take(struct output *out, const char *data, ssize_t size)
{
	for (; size > 0; data++, size--) {
		if (*data == '\n' || out->len == LINE_MAX_SHOWN)
			flush_line(out);
		if (*data != '\n' && *data != '\0')
			out->text[out->len++] = *data;
	}
}

/* --- running ------------------------------------------------------------ */

/* Take what there is to read; false at the end of the file. */
static bool drain(int fd, struct output *out)
{
	char buffer[4096];
	ssize_t size;

	while ((size = read(fd, buffer, sizeof(buffer))) > 0)
		take(out, buffer, size);
	return size < 0 && (errno == EAGAIN || errno == EINTR);
}

static _Noreturn void become(const char *program, int out)
{
	char *const argv[] = { (char *)program, NULL };
	char path[] = "PATH=/bin:/sbin", home[] = "HOME=/";
	char *const envp[] = { path, home, NULL };

	/* Tests kill their own process group, and have no terminal. */
	setsid();
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(out, 1);
	dup2(out, 2);
	execve(program, argv, envp);
	dprintf(2, "# cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

/*
 * A process that a test has left behind may hold the pipe open, so the end of
 * the program counts, not that of its output.
 */
static int run(const char *program)
{
	struct output out = { .len = 0 };
	struct pollfd wait;
	int ends[2], status;
	pid_t pid;

	must(pipe2(ends, O_CLOEXEC));
	must(fcntl(ends[0], F_SETFL, O_NONBLOCK));
	pid = must(fork());
	if (!pid)
		become(program, ends[1]);
	close(ends[1]);
	wait.fd = ends[0];
	wait.events = POLLIN;
	while (must(waitpid(pid, &status, WNOHANG)) != pid) {
		poll(&wait, 1, POLL_MS);
		if (!drain(ends[0], &out))
			wait.fd = -1;	/* it has closed its output */
	}
	drain(ends[0], &out);
	if (out.len)
		flush_line(&out);
	close(ends[0]);
	kill(-pid, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return status;
}

static void test(unsigned int number, const char *program)
{
	char name[256], result[384];
	int status;

	snprintf(name, sizeof(name), "%s/%s", folder, program);
	snprintf(result, sizeof(result), "%s.%s", flow, name);
	step(result);
	say("  # Subtest: %s", name);
	snprintf(result, sizeof(result), "./%s", program);
	status = run(result);
	if (WIFSIGNALED(status))
		say("not ok %u %s # signal=%d", number, name,
		    WTERMSIG(status));
	else if (WEXITSTATUS(status) == EXIT_SKIP)
		say("ok %u %s # SKIP", number, name);
	else if (WEXITSTATUS(status))
		say("not ok %u %s # exit=%d", number, name,
		    WEXITSTATUS(status));
	else
		say("ok %u %s", number, name);
}

/* --- the machine that tests expect -------------------------------------- */

static int copy_member(const char *path, const struct stat *st, int type,
		       struct FTW *at)
{
	char to[PATH_MAX], target[PATH_MAX];
	ssize_t size;

	(void)at;
	snprintf(to, sizeof(to), NEWROOT "%s", path);
	if (type == FTW_D && strcmp(path, "/")) {
		must(mkdir(to, st->st_mode));
	} else if (type == FTW_SL) {
		size = must(readlink(path, target, sizeof(target) - 1));
		target[size] = '\0';
		must(symlink(target, to));
	} else if (type == FTW_F && S_ISREG(st->st_mode)) {
		copy_file(path, to);
	}
	return 0;
}

/*
 * A root of its own, as ordinary systems have it. A kernel that looks for "the
 * root" of a mount namespace takes the first mount on the namespace's lowest,
 * so what is below matters to some tests.
 */
static void enter_new_root(bool can_pivot)
{
	static const char *const points[] = { "proc", "sys", "dev", "tmp" };
	unsigned int i;

	must(mkdir(NEWROOT, 0755));
	must(mount("tmpfs", NEWROOT, "tmpfs", 0, NULL));
	/* Not into what is mounted; the new root itself is. */
	must(nftw("/", copy_member, 16, FTW_PHYS | FTW_MOUNT));
	must(chdir(NEWROOT));
	for (i = 0; i < sizeof(points) / sizeof(*points); i++)
		if (mkdir(points[i], 0755) < 0 && errno != EEXIST)
			fault("mkdir %s: %s", points[i], errno_name(errno));
	must(mount("/proc", "proc", NULL, MS_MOVE, NULL));
	if (can_pivot && !syscall(SYS_pivot_root, ".", ".")) {
		must(umount2(".", MNT_DETACH));
	} else {
		must(mount(".", "/", NULL, MS_MOVE, NULL));
		must(chroot("."));
	}
	must(chdir("/"));
}

static void set_up(void)
{
	/* It may be left out of the kernel; tests need little of it. */
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0) {
		if (errno != ENODEV)
			fault("mount /dev: %s", errno_name(errno));
		mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3));
		mknod("/dev/kmsg", S_IFCHR | 0600, makedev(1, 11));
	}
	must(mount("sysfs", "/sys", "sysfs", 0, NULL));
	must(mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"));
	if (mkdir("/dev/pts", 0755) == 0)
		/* Not a problem if there is no devpts. */
		mount("devpts", "/dev/pts", "devpts", 0, NULL);
	kmsg = must(open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
}

static void read_plan(void)
{
	char *rest = plan, *line;
	ssize_t size;
	int fd;

	fd = open(PLAN, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fault("there is nothing to run: no " PLAN);
	size = must(read(fd, plan, sizeof(plan) - 1));
	if (size == sizeof(plan) - 1)
		fault(PLAN " is too long");
	close(fd);
	folder = strsep(&rest, "\n");
	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		if (count == PROGRAMS_MAX)
			fault(PLAN " names more than %u programs",
			      PROGRAMS_MAX);
		programs[count++] = line;
	}
}

static void run_all(void)
{
	unsigned int i;

	set_up();
	must(chdir(FOLDER));
	say("KTAP version 1");
	say("1..%u", count);
	for (i = 0; i < count; i++)
		test(i + 1, programs[i]);
}

/* Where systemd leaves a system: pivoted if that works, else moved. */
FLOW(kselftest)
{
	flow = "kselftest";
	read_plan();
	enter_new_root(true);
	run_all();
}

/* Where switch_root of busybox and util-linux do. */
FLOW(moved)
{
	flow = "moved";
	read_plan();
	enter_new_root(false);
	run_all();
}

FLOW(initramfs)
{
	flow = "initramfs";
	read_plan();
	run_all();
}
