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
    (r"(?m)\*\*\* \[[^\]\n]+\.o\] Killed$", "the compiler was killed",
     "is there enough memory? run it again"),
    # Under ccache no one says so, and 255 stands for a signal. Nor does the compiler say a word.
    (r"\A(?s:(?!.*(?:error|objtool): ).*)\*\*\* \[[^\]\n]+\.o\] Error 255\n",
     "the compiler was ended by a signal", "is there enough memory? run it again"),
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
    r"(?P<file>[^\s:]+):(?:(?P<line>\d+):)?(?:\d+:)*? warning: (?:(?P<tool>objtool): )?"
    r"(?P<text>.*?)(?: \[(?P<flag>-W[^\]]+)\])?$"
)
# Of modpost: of a whole module or the kernel, whose sections and symbols it looks at.
_MODPOST = re.compile(r"WARNING: modpost: (?P<file>[\w./-]+): (?P<text>.*)")
# What kbuild prints of each thing it makes; with --output-sync all that belongs to it follows.
_MADE = re.compile(r"  [A-Z][A-Z0-9_]*(?: \[\w+\])? +(?P<target>\S+)$")
# The source, what marks the place in it, and what else the compiler has to say of that.
_BELONGS = re.compile(r"\s+(?:\d+ )?\||\s*[~^]|[^\s:]+:(?:\d+:)+ note: |\s+from |In file included")
_MOST_LINES = 12
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
    """Return a build log's warnings, in order of appearance."""
    return [each for found in by_target(text, source).values() for each in found]


def by_target(text: str, source: Path) -> dict[str, list[CompilerWarning]]:
    """Return what was made, by its path in O=, and the warnings of each; "" is before the first."""
    found: dict[str, list[CompilerWarning]] = {}
    target = function = ""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if made := _MADE.match(line):
            target, function = made["target"], ""
            found[target] = []
        elif context := _IN_FUNCTION.match(line):
            function = context["function"] or ""
        elif match := _WARNING.match(line):
            # objtool names the function itself, and knows nothing of the compiler's.
            named = "" if match["tool"] else function
            found.setdefault(target, []).append(
                CompilerWarning(
                    file=_in_tree(match["file"], source),
                    flag=match["flag"] or match["tool"] or "",
                    message=match["text"],
                    function=named,
                    line=int(match["line"] or 0),
                    text=_block(lines, number, source),
                )
            )
        elif match := _MODPOST.match(line):
            found.setdefault(target, []).append(
                CompilerWarning(
                    file=match["file"], flag="modpost", message=match["text"], function="",
                    text=(line,),
                )
            )  # fmt: skip
    return found


def _in_tree(file: str, source: Path) -> str:
    return re.sub(r"^(\.\./)+", "", os.path.normpath(file).removeprefix(f"{source}/"))


def _block(lines: Sequence[str], number: int, source: Path) -> tuple[str, ...]:
    """Return the lines of a warning: itself, the function it is in, and what follows it."""
    first = number - 1 if number and _IN_FUNCTION.match(lines[number - 1]) else number
    last = number + 1
    while last < len(lines) and last - first < _MOST_LINES and _BELONGS.match(lines[last]):
        last += 1
    return tuple(line.replace(f"{source}/", "") for line in lines[first:last])


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
