// SPDX-License-Identifier: GPL-2.0-only
/* A driver that no profile compiles. */
