"""Takes a kernel version, gives its upstream tarball, verified, and says where it came from.

The sources are asked in turn, and the first that has the version answers. What each of the
others said goes into the error.
"""

import re
from collections.abc import Callable

from harness import debian, kernel_org, log
from harness.errors import HarnessError, HostError, UsageError
from harness.store import Store
from harness.tarball import Miss, Source, Tarball, kept

_SOURCES: tuple[Source, ...] = (kept, kernel_org.fetch, debian.fetch)
_MAX_VERSIONS = 8


def fetch(version: str, *, store: Store) -> Tarball:
    """Return the tarball of `version`, such as "6.18.5" or "6.19-rc1".

    Raises:
        UsageError: every source answered, and none has it.
        HostError: none has it, and at least one could not be asked; or the disk is full.
    """
    folder = store.root / "downloads"
    misses: list[Miss] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in _SOURCES:
            answer = source(version, folder)
            if isinstance(answer, Tarball):
                return answer.keep()
            for miss in answer:
                log.note(f"{miss.source}: {miss.answer}")
            misses += answer
    except OSError as error:
        raise HostError(
            f"cannot write the cache {folder}: {error.strerror}",
            hint="free some space, or set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    raise _not_found(version, misses)


def _not_found(version: str, misses: list[Miss]) -> HarnessError:
    said = "; ".join(f"{miss.source}: {miss.answer}" for miss in misses)
    has = sorted({name for miss in misses for name in miss.has}, key=_closeness(version))
    hint = "`--tree DIR --base REV` takes a base from your own clone"
    if has:
        hint = f"there is {', '.join(has[:_MAX_VERSIONS])}; or {hint}"
    if all(miss.is_no for miss in misses):
        return UsageError(f"--base {version}: no source has this kernel ({said})", hint=hint)
    return HostError(f"cannot fetch Linux {version} ({said})", hint=hint)


def _closeness(version: str) -> Callable[[str], tuple[int, int, int]]:
    """Return a sort key: versions of the same line first, then by distance."""
    wanted = _numbers(version)

    def key(name: str) -> tuple[int, int, int]:
        major, minor, patch = _numbers(name)
        return abs(major - wanted[0]), abs(minor - wanted[1]), abs(patch - wanted[2])

    return key


def _numbers(version: str) -> tuple[int, int, int]:
    parts = [int(digits) for digits in re.findall(r"\d+", version.partition("-")[0])]
    major, minor, patch = (*parts, 0, 0, 0)[:3]
    return major, minor, patch
