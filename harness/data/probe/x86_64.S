/*
 * The guest that proves an accelerator: nothing but work whose result is known.
 *
 * A broken KVM creates virtual machines and even runs one that only reaches
 * long mode and leaves. So this one does ten million SSE2 additions (0.05 s
 * under TCG, seconds where each is emulated), checks their sum, says so on the
 * serial port and leaves through isa-debug-exit: PROBE_STATUS on success,
 * any other status, a triple fault or silence on failure.
 *
 * QEMU enters at the address in the PVH note: 32-bit protected mode, flat
 * segments, paging off, interrupts off.
 */

#define ROUNDS		2500000		/* of four additions */
#define SERIAL		0x3f8
#define EXIT_DEVICE	0xf4
#define EXIT_GOOD	16		/* QEMU's exit status: 33 */
#define EXIT_BAD	2

#define CR0_PG		0x80000000
#define CR0_EM		(1 << 2)
#define CR0_MP		(1 << 1)
#define CR4_PAE		(1 << 5)
#define CR4_OSFXSR	(1 << 9)
#define MSR_EFER	0xc0000080
#define EFER_LME	(1 << 8)

	.section .note.pvh, "a", @note
	.long	4			/* size of the name */
	.long	4			/* size of the address */
	.long	18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start32

	.text
	.code32
	.globl	start32
start32:
	mov	$stack_top, %esp

	/* The first 2 MiB as one page: 3 is present and writable, 0x80 large. */
	movl	$(level3 + 3), level4
	movl	$(level2 + 3), level3
	movl	$0x83, level2

	mov	%cr4, %eax
	or	$(CR4_PAE | CR4_OSFXSR), %eax
	mov	%eax, %cr4
	mov	$level4, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	mov	%cr0, %eax
	and	$~CR0_EM, %eax
	or	$(CR0_PG | CR0_MP), %eax
	mov	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$8, $start64

	.code64
start64:
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss

	pxor	%xmm0, %xmm0		/* two sums */
	movdqa	ones, %xmm1
	mov	$ROUNDS, %ecx
1:	paddq	%xmm1, %xmm0
	paddq	%xmm1, %xmm0
	paddq	%xmm1, %xmm0
	paddq	%xmm1, %xmm0
	dec	%ecx
	jnz	1b

	movq	%xmm0, %rax
	cmp	$(ROUNDS * 4), %rax
	jne	bad
	punpckhqdq %xmm0, %xmm0
	movq	%xmm0, %rax
	cmp	$(ROUNDS * 8), %rax
	jne	bad

	mov	$token, %esi
	mov	$SERIAL, %dx
2:	lodsb
	test	%al, %al
	jz	3f
	outb	%al, %dx
	jmp	2b
3:	mov	$EXIT_GOOD, %al
	outb	%al, $EXIT_DEVICE
bad:
	mov	$EXIT_BAD, %al
	outb	%al, $EXIT_DEVICE
4:	hlt
	jmp	4b

	.section .rodata
token:	.asciz	"accelerator proved\n"
	.balign	16
ones:	.quad	1, 2
	.balign	8
gdt:	.quad	0
	.quad	0x00af9a000000ffff	/* 64-bit code */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.bss
	.balign	4096
level4:	.skip	4096
level3:	.skip	4096
level2:	.skip	4096
	.skip	256
stack_top:

	.section .note.GNU-stack, "", @progbits
