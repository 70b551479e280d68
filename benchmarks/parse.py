"""How fast `harness parse` reads a console, and what memory it takes.

    ./bootstrap python benchmarks/parse.py [-s MB] [-n RUNS]

The log is made up: nine lines of ten are the kernel's, with stamps, the rest userspace's; once in
10 MB there is a report out of the tests' logs. It comes through a pipe, as from `dmesg`. The time
is the tool's CPU, its start included; the memory its highest.
"""

import argparse
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LOGS = Path(__file__).parent.parent / "tests/corpus/console"
REPORTS = ("kasan-use-after-free", "warn-since-6.19", "lockdep-circular", "hung-task")
PART = 10_000_000
TEXT = (
    "pci 0000:00:1f.2: BAR 4 [io 0xc040-0xc05f]: assigned clocksource: tsc: mask max_cycles "
    "systemd[1]: Started Journal Service. usb 1-1: new high-speed device number 2 using xhci_hcd "
    "EXT4-fs (vda1): mounted filesystem with ordered data mode Kernel ok not BUGs info"
)
# What the tool would do, and at its end what it took.
CHILD = """
import resource, sys
from harness.cli import main
sys.argv = ["harness", "parse", "-"]
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]
    print(used.ru_utime + used.ru_stime, peak, file=sys.stderr)
"""


def log(size: int) -> Iterator[bytes]:
    """Yield a log of about `size` bytes, the same every time."""
    chance = random.Random(1)  # noqa: S311 - no secret
    words = TEXT.split()
    yield b"[    0.000000] Linux version 6.18.5 (harness@harness) (gcc) #1 SMP\r\n"
    lines, length, now = [], 0, 0
    while length < PART:
        now += chance.randrange(900)
        text = " ".join(chance.choices(words, k=chance.randrange(3, 16)))
        stamp = f"[{now / 1e6:12.6f}] " if chance.random() < 0.9 else ""  # noqa: PLR2004
        lines.append(f"{stamp}{text}\r\n".encode())
        length += len(lines[-1])
    part = b"".join(lines)
    for count in range(size // PART):
        yield part
        report = LOGS / f"{REPORTS[count % len(REPORTS)]}.log"
        yield report.read_bytes().partition(b"\n\n")[2]


def measure(parts: list[bytes]) -> tuple[float, int]:
    """Return (CPU seconds, KiB at most) of one reading."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as child:
        if child.stdin is None:
            raise AssertionError
        for part in parts:
            child.stdin.write(part)
        used = child.communicate()[1].split()
    return float(used[-2]), int(used[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-s", dest="megabytes", type=int, default=200)
    parser.add_argument("-n", dest="runs", type=int, default=5)
    options = parser.parse_args()
    parts = list(log(options.megabytes * 1_000_000))
    size = sum(map(len, parts))
    runs = [measure(parts) for _ in range(options.runs)]
    seconds = statistics.median(cpu for cpu, _ in runs)
    print(f"{size / 1e6:.0f} MB   cpu {seconds:.2f} s   {size / 1e6 / seconds:.0f} MB/s", end="   ")
    print(f"memory {max(peak for _, peak in runs) >> 10} MiB")


if __name__ == "__main__":
    main()
