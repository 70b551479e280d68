/* SPDX-License-Identifier: GPL-2.0-only */
/* How flows of this scenario bring a kernel down. */
#ifndef CRASH_H
#define CRASH_H

/* Opens LKDTM's file; it is a fault if this kernel has none. */
int open_lkdtm(void);

/*
 * Set off one of LKDTM's deaths in a child: what it kills is not PID 1, so
 * that nothing but the kernel's report tells of it. Observes FLOW.child, how
 * the child ended.
 */
void set_off(const char *flow, const char *death);

/*
 * The same on the second CPU, for a child that does not come back: PID 1, on
 * the first, goes on after `seconds`. Observes FLOW.child as well.
 */
void set_off_elsewhere(const char *flow, const char *death,
		       unsigned int seconds);

/* A flow that is one death, by the name that LKDTM has for it. */
#define DEATH(flow, death) FLOW(flow) { set_off(#flow, death); }

/*
 * Fork a child that waits for PID 1's end record, calls `act`, and only then
 * lets PID 1 end the machine.
 */
void after_the_end(void (*act)(void));

/* Write to /dev/kmsg, as a record is written. */
void say_to_kmsg(const char *line);

#endif
