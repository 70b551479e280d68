"""The values of a gate on their way: what came of one patch's tree, kernel and boots."""

import msgspec

from harness.bootcache import Kept
from harness.check_result import Changes, Uncompiled, WarningResult
from harness.errors import HostError, Outcome
from harness.job import Kernel, Series, Tree


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """The subject's fault that kept a step from being booted; `stage` is where."""

    stage: str
    outcome: Outcome
    message: str
    evidence: tuple[str, ...] = ()
    hint: str | None = None
    log: str | None = None


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one command line. `kept` is None where it is promised from a later patch on."""

    cmdline: str
    variant: str
    kept: Kept | None = None

    @property
    def is_pass(self) -> bool:
        """Whether it was booted, and passed."""
        return self.kept is not None and self.kept.result.verdict.outcome is Outcome.PASS

    @property
    def is_finding(self) -> bool:
        """Whether it was booted, and did not pass."""
        return self.kept is not None and not self.is_pass


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The first `number` patches on the base, as far as they could be tested.

    `image` is the digest of what of the kernel is loaded; `is_kept` says that it was in the cache.
    """

    number: int
    tree: Tree | None = None
    config: str = ""
    """The digest of the .config."""
    kernel: Kernel | None = None
    image: str = ""
    is_kept: bool = False
    fault: Fault | None = None
    boots: tuple[Boot, ...] = ()
    seconds: float = 0.0

    @property
    def findings(self) -> tuple[Boot, ...]:
        """The boots that did not pass."""
        return tuple(boot for boot in self.boots if boot.is_finding)

    @property
    def is_built(self) -> bool:
        """Whether there is a kernel."""
        return self.kernel is not None

    def boot_of(self, cmdline: str) -> Boot | None:
        """Return the boot with that command line, if it was booted."""
        return next((b for b in self.boots if b.cmdline == cmdline and b.kept), None)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said of a patch besides what its kernel does.

    `is_untested` says that it changes code and that this config compiles none of it.
    """

    new: tuple[WarningResult, ...] = ()
    fixed: tuple[WarningResult, ...] = ()
    known: int = 0
    uncompiled: tuple[Uncompiled, ...] = ()
    is_untested: bool = False
    changes: Changes | None = None


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The steps by number, as far as they were come to, and the host's fault that ended it."""

    series: Series
    steps: dict[int, Step]
    fault: HostError | None = None

    @property
    def made(self) -> frozenset[str]:
        """The runs, by id, that were made for this gate and not kept from an earlier one."""
        kept = (boot.kept for step in self.steps.values() for boot in step.boots)
        return frozenset(each.result.id for each in kept if each and not each.is_reused)
