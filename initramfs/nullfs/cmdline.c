// SPDX-License-Identifier: GPL-2.0-only
/*
 * The option in other forms: what of it reached the kernel, what was passed on
 * to init, and what came of it. Whether the kernel calls it unknown, the host
 * reads off the log.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "nullfs.h"

/* The words of a file that have to do with nullfs; they end in space or NUL. */
static const char *words_of(const char *path)
{
	static char found[256];
	char text[8192], *word;
	size_t len, i;

	len = read_text(AT_FDCWD, path, text, sizeof(text));
	for (i = 0; i < len; i++)
		if (strchr(" \n", text[i]))
			text[i] = '\0';
	*found = '\0';
	for (word = text; word < text + len; word += strlen(word) + 1) {
		if (!strstr(word, "nullfs"))
			continue;
		if (strlen(found) + strlen(word) + 2 > sizeof(found))
			fault("%s has too many words on nullfs", path);
		strcat(found, *found ? " " : "");
		strcat(found, word);
	}
	return *found ? found : "none";
}

static void observe_cmdline(const char *flow)
{
	observe_str(join(flow, "given"), words_of("/proc/cmdline"));
	observe_str(join(flow, "arguments"), words_of("/proc/self/cmdline"));
	observe_str(join(flow, "environment"), words_of("/proc/self/environ"));
	observe_str(join(flow, "root_fs"), fs_name("/"));
	observe_below(flow);
}

#define CMDLINE_FLOW(id) FLOW(id) { observe_cmdline(#id); }

CMDLINE_FLOW(cmdline_value_1)
CMDLINE_FLOW(cmdline_value_0)
CMDLINE_FLOW(cmdline_dash)
CMDLINE_FLOW(cmdline_twice)
CMDLINE_FLOW(cmdline_misspelt)
CMDLINE_FLOW(cmdline_unpatched)
CMDLINE_FLOW(cmdline_ramfs)
