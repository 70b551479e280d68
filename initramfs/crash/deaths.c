// SPDX-License-Identifier: GPL-2.0-only
/* Deaths that LKDTM knows by name: they take a kernel of the flavor `crash`. */
#define _GNU_SOURCE
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "harness.h"

/* --- it says so itself --------------------------------------------------- */

DEATH(bug, "BUG")
DEATH(warn, "WARNING")
DEATH(warn_message, "WARNING_MESSAGE")
DEATH(panic, "PANIC")
DEATH(panic_stop_irqoff, "PANIC_STOP_IRQOFF")
DEATH(panic_in_interrupt, "PANIC_IN_INTERRUPT")

static void warn_now(void)
{
	static const char death[] = "WARNING";
	int lkdtm = open_lkdtm();

	(void)!write(lkdtm, death, strlen(death));
}

FLOW(warn_after_end)
{
	after_the_end(warn_now);
}

/* --- pointers ------------------------------------------------------------ */

DEATH(null_pointer, "EXCEPTION")
DEATH(null_call, "EXEC_NULL")
DEATH(wild_pointer, "WILD_POINTER")
DEATH(wild_call, "WILD_CALL")
DEATH(noncanonical_pointer, "NONCANONICAL_POINTER")
DEATH(write_to_rodata, "WRITE_RO")
DEATH(divide_by_zero, "DIVIDE_BY_ZERO")
DEATH(oops_then_panic, "EXCEPTION")
DEATH(oops_in_interrupt, "OOPS_IN_INTERRUPT")

/* --- memory -------------------------------------------------------------- */

DEATH(use_after_free_slab_debug, "WRITE_AFTER_FREE")
DEATH(double_free_slab_debug, "SLAB_FREE_DOUBLE")
DEATH(out_of_bounds_slab_debug, "SLAB_LINEAR_OVERFLOW")
DEATH(out_of_bounds_unnoticed, "SLAB_LINEAR_OVERFLOW")
DEATH(array_bounds, "ARRAY_BOUNDS")
DEATH(stack_overflow, "EXHAUST_STACK")
DEATH(stack_smashed, "CORRUPT_STACK")
DEATH(fortify, "FORTIFY_MEM_OBJECT")
DEATH(fortify_member, "FORTIFY_MEM_MEMBER")
DEATH(usercopy, "USERCOPY_SLAB_SIZE_TO")
DEATH(list_add, "CORRUPT_LIST_ADD")
DEATH(list_del, "CORRUPT_LIST_DEL")
DEATH(refcount_saturated, "REFCOUNT_INC_OVERFLOW")
DEATH(refcount_underflow, "REFCOUNT_SUB_AND_TEST_NEGATIVE")
DEATH(refcount_from_zero, "REFCOUNT_INC_ZERO")

/* With KASAN, which the flavor `no-kasan` takes away. */
DEATH(null_pointer_kasan, "EXCEPTION")
DEATH(wild_pointer_kasan, "WILD_POINTER")
DEATH(use_after_free, "READ_AFTER_FREE")
DEATH(use_after_free_write, "WRITE_AFTER_FREE")
DEATH(double_free, "SLAB_FREE_DOUBLE")
DEATH(out_of_bounds, "SLAB_LINEAR_OVERFLOW")
DEATH(out_of_bounds_vmalloc, "VMALLOC_LINEAR_OVERFLOW")
DEATH(stack_overflow_kasan, "EXHAUST_STACK")

FLOW(leak)
{
	set_off("leak", "LEAK");
	/* What is younger than five seconds is no suspect. */
	sleep(6);
	write_text("/debug/kmemleak", "scan");
	write_text("/debug/kmemleak", "scan");
}

/* The first allocation that the child makes in the kernel fails. */
FLOW(allocation_fails)
{
	static const char death[] = "UNCHECKED_ALLOC";
	int lkdtm = open_lkdtm(), status;
	pid_t pid;

	step("allocation_fails.UNCHECKED_ALLOC");
	pid = must(fork());
	if (!pid) {
		write_text("/proc/self/fail-nth", "1");
		_exit(write(lkdtm, death, strlen(death)) < 0);
	}
	must(waitpid(pid, &status, 0));
}

/* --- locks, and who may sleep -------------------------------------------- */

DEATH(scheduling_in_atomic, "SCHEDULE_IN_ATOMIC")
DEATH(sleeping_in_atomic, "SLEEP_IN_ATOMIC")
DEATH(lock_inversion, "LOCK_INVERSION")
DEATH(lock_not_held, "LOCK_NOT_HELD")
DEATH(lock_taken_to_userspace, "RETURN_WITH_LOCK")

FLOW(lock_taken_twice)
{
	set_off_elsewhere("lock_taken_twice", "LOCK_TWICE", 1);
}

/* --- for ever ------------------------------------------------------------ */

/* Something to stall: a child that waits for one grace period after another. */
static void wait_for_rcu(void)
{
	if (must(fork()))
		return;
	for (;;) {
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		usleep(10000);
	}
}

FLOW(rcu_stall)
{
	wait_for_rcu();
	/*
	 * LOOP would not do: RCU sees by the preemption count that it holds
	 * nothing up. The timeout is five seconds longer with PROVE_RCU.
	 */
	set_off_elsewhere("rcu_stall", "SOFTLOCKUP", 11);
}

FLOW(soft_lockup)
{
	set_off_elsewhere("soft_lockup", "SOFTLOCKUP", 6);
}

FLOW(hard_lockup)
{
	set_off_elsewhere("hard_lockup", "HARDLOCKUP", 8);
}

FLOW(hung_task)
{
	set_off_elsewhere("hung_task", "HUNG_TASK", 6);
}
