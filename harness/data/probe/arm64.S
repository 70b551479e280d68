/*
 * The guest that proves an accelerator, as x86_64.S is: ten million additions
 * whose sum is known, a word on the serial port, and the way out.
 *
 * There is no exit status on this machine: the word is the proof, and it is
 * not said if the sum is wrong. QEMU enters at EL1, MMU and interrupts off.
 */

#define ROUNDS		1250000		/* of four times two additions */
#define UART		0x09000000	/* PL011: what is stored here is sent */
#define PSCI_SYSTEM_OFF	0x84000008
#define CPACR_FPEN	(3 << 20)	/* floating point and SIMD do not trap */

	.text
	.globl	start
start:
	mov	x0, #CPACR_FPEN
	msr	cpacr_el1, x0
	isb

	movi	v0.2d, #0		/* two sums */
	adr	x1, ones
	ld1	{v1.2d}, [x1]
	ldr	w2, =ROUNDS
1:	add	v0.2d, v0.2d, v1.2d
	add	v0.2d, v0.2d, v1.2d
	add	v0.2d, v0.2d, v1.2d
	add	v0.2d, v0.2d, v1.2d
	subs	w2, w2, #1
	b.ne	1b

	umov	x0, v0.d[0]
	ldr	x1, =(ROUNDS * 4)
	cmp	x0, x1
	b.ne	leave
	umov	x0, v0.d[1]
	ldr	x1, =(ROUNDS * 8)
	cmp	x0, x1
	b.ne	leave

	adr	x0, token
	ldr	x1, =UART
2:	ldrb	w2, [x0], #1
	cbz	w2, leave
	str	w2, [x1]
	b	2b

leave:
	ldr	w0, =PSCI_SYSTEM_OFF
	hvc	#0
3:	wfi
	b	3b

	.balign	16
ones:	.quad	1, 2
token:	.asciz	"accelerator proved\n"

	.section .note.GNU-stack, "", @progbits
