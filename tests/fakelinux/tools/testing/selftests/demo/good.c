// SPDX-License-Identifier: GPL-2.0-only
#include <linux/standin.h>
#include <stdio.h>

int main(void)
{
	printf("TAP version 13\n1..2\nok 1 %s\nok 2 second # SKIP not here\n", STAND_IN);
	return 0;
}
