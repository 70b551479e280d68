/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of PID 1 have among themselves. A scenario does without. */
#ifndef INIT_H
#define INIT_H

/* Opens /dev/kmsg; from here on there are records. */
void open_records(const char *nonce);

/* The same in an init that goes on where another was, at that number. */
void reopen_records(const char *nonce, unsigned long last);
unsigned long last_record(void);

void record_begin(const char *flows);
void record_end(void);

/* The end record, then the end of the machine; a child only ends itself. */
_Noreturn void finish(void);

/* Set in a child, where ending must not be the end of the machine. */
void become_child(void);

/* Finds out how the machine has to end; needs /proc, which a flow may leave. */
void look_at_printing(void);

_Noreturn void end_machine(void);

/* Before there are records: to the console, and the machine ends. */
_Noreturn void die(const char *what);

/* "NUMBER FLOW", in the environment of an init that is not the first. */
#define STATE "HARNESS_STATE"

#define CHILD_FAULT 99		/* a child's exit status after its fault() */

#endif
