/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOLDERS_H
#define HOLDERS_H

#include <stdint.h>

/*
 * Who still uses the file system `device`: "kdevtmpfs:mnt_ns init:cwd", in the
 * order of PIDs, or "none". Good until the next call.
 */
const char *find_holders(uint64_t device);

#endif
