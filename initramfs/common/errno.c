// SPDX-License-Identifier: GPL-2.0-only
/* Names of errors. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "harness.h"

/*
 * These are no part of the ABI (include/linux/errno.h), yet one that leaks
 * out of a system call is worth more by its name.
 */
static const struct {
	int error;
	const char *name;
} internal[] = {
	{ 512, "ERESTARTSYS" },
	{ 513, "ERESTARTNOINTR" },
	{ 514, "ERESTARTNOHAND" },
	{ 515, "ENOIOCTLCMD" },
	{ 516, "ERESTART_RESTARTBLOCK" },
	{ 517, "EPROBE_DEFER" },
	{ 518, "EOPENSTALE" },
	{ 519, "ENOPARAM" },
	{ 521, "EBADHANDLE" },
	{ 522, "ENOTSYNC" },
	{ 523, "EBADCOOKIE" },
	{ 524, "ENOTSUPP" },
	{ 525, "ETOOSMALL" },
	{ 526, "ESERVERFAULT" },
	{ 527, "EBADTYPE" },
	{ 528, "EJUKEBOX" },
	{ 529, "EIOCBQUEUED" },
	{ 530, "ERECALLCONFLICT" },
	{ 531, "ENOGRACE" },
};

const char *errno_name(int error)
{
	static char number[16];
	const char *name = strerrorname_np(error);
	unsigned int i;

	if (name)
		return name;
	for (i = 0; i < sizeof(internal) / sizeof(*internal); i++)
		if (internal[i].error == error)
			return internal[i].name;
	snprintf(number, sizeof(number), "errno-%d", error);
	return number;
}
