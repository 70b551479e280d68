// SPDX-License-Identifier: GPL-2.0-only

const char *mount_answer(void);

/* What a patch of a test changes. */
const char *mount_answer(void)
{
	return " boot.mount=old";
}
