"""Takes the log of a kernel's make, gives its warnings, its first error, and whose fault that is.

Pure.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from harness.job import CompilerWarning

# A failed build that shows one of these failed for this machine's reasons.
HOST_FAULTS: tuple[tuple[str, str, str], ...] = (
    (r"No space left on device", "the disk is full", "`harness gc`, or a larger XDG_CACHE_HOME"),
    (r"Disk quota exceeded", "the disk quota is used up", "`harness gc` frees some"),
    (r"Killed signal terminated program|virtual memory exhausted|Cannot allocate memory",
     "the compiler ran out of memory", "close other programs, or add memory"),
    (r"out of memory allocating \d+ bytes",
     "the compiler ran out of memory", "close other programs, or add memory"),
    (r"fork: Resource temporarily unavailable|: Too many open files",
     "this machine's limits on processes and files are too low", "`ulimit -u`, `ulimit -n`"),
    (r"\[Bus error\]|terminated with signal 7\b",
     "a program lost the file it had mapped: the disk is full or failing",
     "`harness gc`, or look at `dmesg`"),
    (r"error: (?:unable to open output file|opening output file) ",
     "the compiler cannot write its output", "`ls -l` where it says, in the log"),
    (r"/bin/sh: \d+: (flex|bison|bc|perl|ld|as|objcopy|xz|lz4|zstd|pahole): not found",
     "a build tool is missing: {0}", "`harness doctor` names its package"),
    (r"\*\*\* [\w ]+ is too old\.\n\*+ +Your (.+) version: +(\S+)\n\*+ +Minimum .+: +(\S+)",
     "{0} {1} is too old for this kernel, which wants {2}",
     "take a newer one: --toolchain llvm-19, for one, is LLVM 19"),
    (r"fatal error: (gelf\.h|libelf\.h|openssl/\S+): No such file",
     "a header of this machine is missing: {0}", "`harness doctor` names its package"),
    (r"Input/output error|Stale file handle", "the disk cannot be written", "look at `dmesg`"),
)  # fmt: skip

_WARNING = re.compile(
    r"(?P<file>[^\s:]+):(?:\d+:)*? warning: (?:(?P<tool>objtool): )?(?P<text>.*?)"
    r"(?: \[(?P<flag>-W[^\]]+)\])?$"
)
_IN_FUNCTION = re.compile(r"[^\s:]+: (?:In function '(?P<function>[^']+)'|At top level):$")
_ERROR = re.compile(
    r"[^\s:]+:\d+(:\d+)?: (fatal )?error: "  # the compiler
    r"|.*undefined reference to |ld(\.\S+)?: error: |ERROR: modpost: |\S+: error: objtool: "
    r"|.*\.(c|S|h):\d+: Error: "  # the assembler
    r"|.*Kconfig\S*:\d+: (syntax error|error)"
    r"|.*: (not found|No such file or directory|Read-only file system)$"
)
_MAKE_ERROR = re.compile(r"make(\[\d+\])?: \*\*\* ")
# Said when every child has ended and what each of them had half made is deleted.
_FAREWELL = re.compile(r"^make: \*\*\* .* (Terminated|Interrupt)$", re.MULTILINE)
# How many lines may follow make's own error: it leaves directories.
_TAIL = 4


def warnings(text: str, source: Path) -> list[CompilerWarning]:
    """Return a build log's compiler warnings, by identity, in order of appearance."""
    found = []
    function = ""
    for line in text.splitlines():
        context = _IN_FUNCTION.match(line)
        if context:
            function = context["function"] or ""
            continue
        match = _WARNING.match(line)
        if match:
            file = os.path.normpath(match["file"]).removeprefix(f"{source}/")
            found.append(
                CompilerWarning(
                    file=re.sub(r"^(\.\./)+", "", file),
                    flag=match["flag"] or match["tool"] or "",
                    message=match["text"],
                    # objtool names the function itself, and knows nothing of the compiler's.
                    function="" if match["tool"] else function,
                )
            )
    return found


def first_error(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the first error of a build log with the lines that belong to it, at most six.

    With `make -jN` the line that make itself complains of may belong to another file.
    """
    for pattern in (_ERROR, _MAKE_ERROR):
        for index, line in enumerate(lines):
            if pattern.match(line):
                start = index - 1 if index and _IN_FUNCTION.match(lines[index - 1]) else index
                return tuple(lines[start : index + 5])
    return tuple(lines[-6:])


def host_fault(text: str) -> tuple[str, str] | None:
    """Return (what, what to do) if a failed build's log shows a fault of this machine."""
    for pattern, message, hint in HOST_FAULTS:
        match = re.search(pattern, text)
        if match:
            return message.format(*match.groups()), hint
    return None


def has_last_word(text: str) -> bool:
    """Whether the log of a failed make ends as make ends it; one that was cut short does not."""
    return any(_MAKE_ERROR.match(line) for line in text.splitlines()[-_TAIL:])


def is_interrupted(text: str) -> bool:
    """Whether make was told to end, and did so in order."""
    return bool(_FAREWELL.search("\n".join(text.splitlines()[-_TAIL:])))


def headline(evidence: Sequence[str]) -> str:
    """Return the line of `first_error` that says what is wrong."""
    return next((line for line in evidence if "rror" in line), evidence[-1] if evidence else "")
