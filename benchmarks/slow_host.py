"""A kernel that boots, on a machine that hardly lets it: how often is that called a hang?

    ./bootstrap python benchmarks/slow_host.py [-n BOOTS] [--timeout S]

Wants one `harness boot --cmdline nullfs_rootfs` before. Each boot is made at `nice 19` beside four
busy loops; then once with QEMU, and once with the tool, stopped for 20 s. The deadline is so short
that by the clock on the wall most would be past it. Prints the outcomes, and the seconds.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from soak import hogs

LOOPS = 4
STOPPED_S = 20


def tool(timeout_s: float) -> "subprocess.Popen[bytes]":
    words = ["boot", "-q", "--json", "--cmdline", "nullfs_rootfs", "--timeout", str(timeout_s)]
    return subprocess.Popen(
        ["nice", "-n", "19", sys.executable, "-m", "harness", *words],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def qemu_of(parent: int) -> int | None:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            name = (folder / "cmdline").read_bytes().partition(b"\0")[0]
        except OSError:
            continue
        if int(fields[1]) == parent and b"qemu-system" in name:
            return int(folder.name)
    return None


def boot(timeout_s: float, stop: str) -> tuple[str, float]:
    """Boot once; `stop` is what is stopped when the guest is on its way: qemu, tool or nothing."""
    began = time.monotonic()
    process = tool(timeout_s)
    if stop:
        while not (qemu := qemu_of(process.pid)) and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.2)
        pid = qemu if stop == "qemu" else process.pid
        if pid and process.poll() is None:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(STOPPED_S)
            os.kill(pid, signal.SIGCONT)
    result = json.loads(process.communicate()[0])
    return result["verdict"]["outcome"], time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", dest="boots", type=int, default=10)
    parser.add_argument("--timeout", type=float, default=3.0)
    options = parser.parse_args()
    made = []
    with hogs(LOOPS):
        for stop in [*[""] * options.boots, "qemu", "tool"]:
            outcome, seconds = boot(options.timeout, stop)
            made.append((outcome, seconds))
            print(f"{stop or 'busy':5} {outcome:10} {seconds:6.1f} s", flush=True)
    past = sum(seconds > options.timeout for _, seconds in made)
    print(dict(Counter(outcome for outcome, _ in made)), f"{past} past the deadline by the clock")


if __name__ == "__main__":
    main()
