// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records on /dev/kmsg: one write each, so each is whole, has a time, and
 * stands in order with the kernel's own lines.
 *
 *	<1>harness: NONCE SEQ KIND TEXT\n
 *
 * Level 1 so that "quiet" does not hide them. SEQ starts at 1 and has no gaps,
 * over all processes; they take turns, since a parent waits for its child. An
 * init that execs another hands it the number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "init.h"

#ifndef KMSG_PATH		/* tests have a file instead */
#define KMSG_PATH "/dev/kmsg"
#endif

/*
 * The kernel refuses a longer write than 1024 bytes, 976 before v6.4, and the
 * console's buffer takes a time stamp besides.
 */
#define RECORD_MAX 900

struct line {
	size_t len;
	bool is_full;
	char text[RECORD_MAX + 1];	/* and the newline */
};

static const char *our_nonce;
static unsigned long *sequence;
static bool is_child;

/*
 * Opened once, on the initramfs' own /dev, and kept, so that records outlive
 * a pivot. As long as it is open it keeps the initramfs from being freed: a
 * flow that measures that memory goes on in another init, on its new root.
 */
static int kmsg = -1;

static void put(struct line *line, char c)
{
	if (line->len == RECORD_MAX)
		line->is_full = true;
	else
		line->text[line->len++] = c;
}

static void put_text(struct line *line, const char *text)
{
	while (*text)
		put(line, *text++);
}

/* Percent-escapes '%' and all that is not printable ASCII, save `kept`. */
static void put_escaped(struct line *line, const char *text, char kept)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char c;

	for (; (c = *text); text++) {
		if (c == kept || (c > ' ' && c <= '~' && c != '%')) {
			put(line, c);
			continue;
		}
		put(line, '%');
		put(line, hex[c >> 4]);
		put(line, hex[c & 15]);
	}
}

static void start(struct line *line, const char *kind)
{
	char number[24];

	line->len = 0;
	line->is_full = false;
	snprintf(number, sizeof(number), " %lu ", *sequence + 1);
	put_text(line, "<1>harness: ");
	put_text(line, our_nonce);
	put_text(line, number);
	put_text(line, kind);
}

/*
 * The newline makes the record final. Without it printk holds the record back,
 * since a pr_cont() might follow, and the last one would never be printed.
 */
static void emit(struct line *line)
{
	ssize_t written;

	line->text[line->len++] = '\n';
	do
		written = write(kmsg, line->text, line->len);
	while (written < 0 && errno == EINTR);
	if (written != (ssize_t)line->len)
		die("write " KMSG_PATH);
	++*sequence;
}

void open_records(const char *nonce)
{
	our_nonce = nonce;
	sequence = mmap(NULL, sizeof(*sequence), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sequence == MAP_FAILED)
		die("mmap");
	kmsg = open(KMSG_PATH, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (kmsg < 0)
		die("open " KMSG_PATH);
}

void reopen_records(const char *nonce, unsigned long last)
{
	open_records(nonce);
	*sequence = last;
}

unsigned long last_record(void)
{
	return *sequence;
}

void record_begin(const char *flows)
{
	struct line line;

	start(&line, "begin proto=1 flow=");
	put_escaped(&line, flows, 0);
	emit(&line);
}

void record_end(void)
{
	struct line line;
	char count[24];

	start(&line, "end count=");
	snprintf(count, sizeof(count), "%lu", *sequence + 1);
	put_text(&line, count);
	emit(&line);
}

void step(const char *name)
{
	struct line line;

	start(&line, "step ");
	put_escaped(&line, name, 0);
	emit(&line);
}

void observe_str(const char *name, const char *value)
{
	struct line line;

	start(&line, "observe ");
	put_escaped(&line, name, 0);
	put(&line, '=');
	put_escaped(&line, value, 0);
	if (line.is_full)
		fault("the value of %.64s is too long for a record: %zu bytes",
		      name, strlen(value));
	emit(&line);
}

void observe_u64(const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	observe_str(name, text);
}

void observe_hex(const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	observe_str(name, text);
}

void observe_bool(const char *name, bool value)
{
	observe_str(name, value ? "yes" : "no");
}

long observe_errno(const char *name, long ret)
{
	int error = errno;

	observe_str(name, ret < 0 ? errno_name(error) : "0");
	errno = error;
	return ret;
}

void fault(const char *format, ...)
{
	char text[256];
	struct line line;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	start(&line, "fault ");
	put_escaped(&line, text, ' ');
	emit(&line);
	finish();
}

long check_result(long ret, const char *call)
{
	if (ret < 0)
		fault("%s: %s", call, errno_name(errno));
	return ret;
}

void become_child(void)
{
	is_child = true;
}

void finish(void)
{
	/* What a flow printed comes before the end, not never. */
	fflush(NULL);
	if (is_child)
		_exit(CHILD_FAULT);
	record_end();
	end_machine();
}
