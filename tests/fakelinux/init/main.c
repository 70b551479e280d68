// SPDX-License-Identifier: GPL-2.0-only
/* Entered through PVH in 32-bit mode; prints what a kernel and its init would. */

typedef unsigned int u32;

struct start_info {
	u32 magic, version, flags, nr_modules;
	u32 modlist, modlist_high, cmdline, cmdline_high;
};

const char *mount_answer(void);

static const char banner[] = "Linux version 6.99.0 (harness@harness) (stand-in) #1\n";
static u32 seq;
static char nonce[64], flow[64], hangs[8], warns[64];

__attribute__((section(".note.pvh"), used, aligned(4))) static const struct {
	u32 namesz, descsz, type;
	char name[4];
	u32 entry;
} note = { 4, 4, 18, "Xen", 0x100000 };

static char stack[8192] __attribute__((used));

__asm__(".section .text.start, \"ax\"\n"
	".global start\n"
	"start:\n"
	"	mov $stack + 8192, %esp\n"
	"	push %ebx\n"
	"	call kernel_main\n"
	".text\n");

static void outb(unsigned char value, unsigned short port)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void put(const char *text)
{
	for (; *text; text++)
		outb(*text, 0x3f8);
}

static void put_number(u32 value)
{
	if (value > 9)
		put_number(value / 10);
	outb('0' + value % 10, 0x3f8);
}

static void record(const char *kind, const char *what, const char *more)
{
	put("[    0.100000] harness: ");
	put(nonce);
	put(" ");
	put_number(++seq);
	put(" ");
	put(kind);
	put(what);
	put(more);
	put("\n");
}

static int has(const char *text, char wanted)
{
	while (*text && *text != wanted)
		text++;
	return *text;
}

/* Copies the value of a parameter, up to the next blank. */
static void parameter(const char *cmdline, const char *name, char *value)
{
	for (; *cmdline; cmdline++) {
		const char *a = cmdline, *b = name;

		while (*b && *a == *b)
			a++, b++;
		if (*b)
			continue;
		while (*a && *a != ' ')
			*value++ = *a++;
		break;
	}
	*value = 0;
}

__attribute__((used)) void kernel_main(const struct start_info *info)
{
	const char *cmdline = (const char *)info->cmdline;

	put("[    0.000000] ");
	put(banner);
	put("[    0.000000] Kernel command line: ");
	put(cmdline);
	put("\n");
	parameter(cmdline, "harness.nonce=", nonce);
#ifdef CONFIG_SLOW_BOOT
	for (volatile u32 i = 0; i < 2000000000u; i++)
		;
#endif
	parameter(cmdline, "harness.flow=", flow);
	parameter(cmdline, "hang=", hangs);
	while (*hangs)
		__asm__ volatile("hlt");
	parameter(cmdline, "warn=", warns);
	if (has(warns, nonce[0]))
		put("[    0.090000] WARNING: CPU: 0 PID: 1 at init/main.c:1 standin_warns+0x1/0x2\n"
		    "[    0.090000] ---[ end trace 0000000000000000 ]---\n");
	record("begin", " proto=1 flow=", flow);
	record("observe", " boot.userspace=yes", "");
	record("observe", " boot.can_fork_and_exec=exit:0", "");
	record("observe", mount_answer(), "");
	record("end", " count=5", "");
	outb(16, 0xf4);
	for (;;)
		__asm__ volatile("hlt");
}
