"""The stages in order: series → tree → kconfig → build → initramfs → boot → console → verdict.

Each is a property of a `Pipeline`, computed when first asked for, timed and reported; a verb that
needs only the first ones asks for no more.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from harness import accel as accels
from harness import arch as arches
from harness import (
    boot,
    image,
    initramfs,
    kconfig,
    lane,
    scenario,
    series,
    tree,
)
from harness import build as builds
from harness.errors import HostError, Outcome, SubjectError
from harness.job import (
    BootSpec,
    Console,
    Initramfs,
    Job,
    Kconfig,
    Kernel,
    Scenario,
    Series,
    Transcript,
    Tree,
    Verdict,
)
from harness.settings import Settings
from harness.stages import StageLog
from harness.store import Store


class Pipeline:
    """One job under way. `stdin` is read where the series is `-`.

    `on_output` is given the console's bytes as they come.
    """

    def __init__(
        self,
        job: Job,
        *,
        settings: Settings,
        store: Store,
        stdin: BinaryIO | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> None:
        self.job = job
        self.settings = settings
        self.store = store
        self.stages = StageLog()
        self.nonce = secrets.token_hex(4)
        self._stdin = stdin
        self._on_output = on_output

    # --- what is built ------------------------------------------------------------------

    @cached_property
    def arch(self) -> arches.Arch:
        """The architecture of the kernel under test."""
        return arches.load(self.job.arch)

    @cached_property
    def series(self) -> Series:
        """The patches."""
        return series.load(
            self.job.series,
            search=self.settings.patches,
            stdin=self._stdin,
            tree=self.job.tree,
        )

    @cached_property
    def tree(self) -> Tree:
        """Base + series as a commit."""
        name = self.job.base
        if name is None and self.job.tree is None and not self.series.bases:
            name = self.settings.base
        return self.stages.run(
            "apply",
            lambda: tree.materialise(
                self.series, base_name=name, clone=self.job.tree, store=self.store
            ),
            detail=_patches_word,
        )

    @cached_property
    def toolchain(self) -> builds.Toolchain:
        """The compilers."""
        return builds.find_toolchain(self.arch, self.store)

    @cached_property
    def kconfig(self) -> Kconfig:
        """The .config, with every requested symbol in it."""
        request = kconfig.Request(
            profile=self.job.profile,
            arch=self.arch,
            flavors=self.job.flavors,
            scenario=self.scenario.kconfig,
            extra=self.job.kconfig,
            search=self.settings.kconfigs,
        )
        # Before the clock of this stage starts.
        made, toolchain = self.tree, self.toolchain
        return self.stages.run(
            "config",
            lambda: kconfig.resolve(
                request,
                made,
                toolchain=toolchain.identity,
                checkout=self._checkout,
                store=self.store,
            ),
        )

    @cached_property
    def kernel(self) -> Kernel:
        """The kernel under test: built, or the user's own."""
        if self.job.kernel:
            return image.inspect(self.job.kernel, self.arch)
        return self.build("vmlinux")

    def build(self, target: str) -> Kernel:
        """Build `target`, `vmlinux` or `bzImage`."""
        config = self.kconfig
        return self.stages.run(
            "build",
            lambda: builds.build(
                self.tree,
                config,
                arch=self.arch,
                toolchain=self.toolchain,
                checkout=self._checkout,
                store=self.store,
                target=target,
            ),
        )

    @cached_property
    def scenario(self) -> Scenario:
        """The guest code and its expectations.

        Asked for by name, or the one the series names; a series that names none, and a kernel of
        the user's own, are only booted.
        """
        name = self.job.scenario
        if name is None and self.job.kernel is None:
            name = self.series.scenario or (None if self.series.patches else self.settings.scenario)
        found = scenario.load(name or "boot", self.settings.initramfs)
        has_series = self.job.kernel is None and bool(self.series.patches)
        return found if has_series else scenario.without_series(found)

    @cached_property
    def flows(self) -> tuple[str, ...]:
        """The flows of this boot."""
        return scenario.select_flows(self.scenario, self.job.flows)

    @cached_property
    def initramfs(self) -> Initramfs:
        """The guest's root file system."""
        return self.stages.run(
            "initramfs",
            lambda: initramfs.build(self.scenario, arch=self.arch, store=self.store),
        )

    # --- what is booted -----------------------------------------------------------------

    @cached_property
    def accel(self) -> str:
        """`kvm` or `tcg`."""
        return accels.choose(self.arch, self.store)

    @cached_property
    def variant(self) -> str:
        """The column of expectations, by the facts of the job alone."""
        return self.job.expect or scenario.select_variant(
            self.scenario, cmdline=self.job.cmdline, version=image.version_of(self.kernel.release)
        )

    @cached_property
    def spec(self) -> BootSpec:
        """What QEMU is given."""
        return BootSpec(
            arch=self.arch.name,
            kernel=self.kernel,
            initramfs=self.initramfs,
            cmdline=boot.kernel_cmdline(
                self.arch,
                self.job.cmdline,
                nonce=self.nonce,
                flows=self.flows,
                flavors=self.job.flavors,
            ),
            nonce=self.nonce,
            deadline_s=self.job.timeout_s or boot.default_deadline(self.accel),
            memory_mib=self.job.memory_mib,
        )

    @cached_property
    def transcript(self) -> Transcript:
        """Everything the boot produced."""
        spec = self.spec
        with self.stages.timed("boot", key=self.nonce) as stage:
            transcript = boot.boot(
                spec,
                self.arch,
                store=self.store,
                accel=self.accel,
                on_output=self._on_output,
                meanwhile=_get_ready_to_judge,
            )
            stage.why = f"ended by {transcript.ended.value}"
        return transcript

    @cached_property
    def console(self) -> Console:
        """What the console says."""
        from harness import console  # noqa: PLC0415 - see _get_ready_to_judge

        return console.parse(self.transcript.console, self.nonce)

    @cached_property
    def verdict(self) -> Verdict:
        """What it comes to. Subject's and host's faults raise."""
        # What is wrong with the question is said before minutes are spent on it.
        scenario.check_variant(self.scenario, self.job.expect)
        flows, _ = self.flows, self.accel
        transcript = self.transcript
        from harness import verdict  # noqa: PLC0415 - see _get_ready_to_judge

        return verdict.judge(
            job_cmdline=self.job.cmdline,
            full_cmdline=self.spec.cmdline,
            nonce=self.nonce,
            kernel=self.kernel,
            scenario=self.scenario,
            variant=self.variant,
            flows=flows,
            transcript=transcript,
            console=self.console,
        )

    def _checkout(self) -> AbstractContextManager[Path]:
        return lane.checkout(self.tree, store=self.store)


def _get_ready_to_judge() -> None:
    """Import what a verdict needs while the guest boots: on an idle CPU it costs no time."""
    from harness import splats, verdict  # noqa: F401, PLC0415

    splats.load_rules()


def _patches_word(applied: Tree) -> str:
    known: Sequence[str] = [str(p.state.value) for p in applied.patches]
    if not known:
        return f"{applied.base}, no patches"
    counts = ", ".join(f"{known.count(state)} {state}" for state in dict.fromkeys(known))
    return f"{applied.base}, {counts}"


def verdict_of(pipeline: Pipeline) -> tuple[Verdict, str | None, str | None]:
    """Run a job to its verdict: (verdict, hint, path of a build log).

    The subject's and the host's faults become verdicts here and nowhere else; the user's go on
    to the caller.
    """
    try:
        return pipeline.verdict, None, None
    except SubjectError as error:
        found = Verdict(outcome=error.outcome, reason=error.message, evidence=error.evidence)
        return found, error.hint, error.log_path
    except HostError as error:
        return Verdict(outcome=Outcome.HOST_ERROR, reason=error.message), error.hint, None
