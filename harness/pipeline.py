"""The stages in order: series → tree → kconfig → build → initramfs → boot → console → verdict.

Each is a property of a `Pipeline`, computed when first asked for, timed and reported; a verb that
needs only the first ones asks for no more.
"""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import BinaryIO

from harness import accel as accels
from harness import (
    allow,
    boots,
    compress,
    foreign,
    image,
    initramfs,
    kconfig,
    kselftest,
    kselftest_build,
    lane,
    needs,
    outfit,
    paths,
    repeat,
    scenario,
    selection,
    series,
    toolchain,
    tree,
)
from harness import arch as arches
from harness import build as builds
from harness.job import (
    Allowance,
    BootPlan,
    BootSpec,
    Initramfs,
    Job,
    Kconfig,
    Kernel,
    Scenario,
    Series,
    Tree,
    Verdict,
)
from harness.settings import Settings
from harness.stages import StageLog
from harness.store import Entry, Store


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
        self.repetition: repeat.Repetition | None = None
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
            self.job.series, search=self.settings.patches, stdin=self._stdin, tree=self.job.tree
        )

    @cached_property
    def tree(self) -> Tree:
        """Base + series as a commit."""
        return self.stages.run("apply", self._materialise, detail=tree.summary)

    def _materialise(self) -> tuple[Tree, Entry]:
        name = self.job.base
        if name is None and self.job.tree is None and not self.series.bases:
            name = self.settings.base
        own = self.settings.patches
        return tree.materialise(
            self.series, base_name=name, clone=self.job.tree, store=self.store,
            owner=series.owner(self.series, own=own),
        )  # fmt: skip

    @cached_property
    def toolchain(self) -> toolchain.Toolchain:
        """The compilers."""
        return toolchain.find(self.job.toolchain, self.arch, self.store)

    @cached_property
    def kconfig(self) -> Kconfig:
        """The .config, with every requested symbol in it."""
        plans = self.plans
        wanted = (*selection.kconfig(self.scenario, plans), *needs.kconfig_for(plans))
        request = kconfig.Request(
            profile=self.job.profile,
            arch=self.arch,
            flavors=self.job.flavors,
            scenario=(*wanted, *compress.kconfig_of(self.job.compress, self.job.flavors)),
            extra=self.job.kconfig,
            search=self.settings.kconfigs,
        )
        # Before the clock of this stage starts.
        compilers, made = self.toolchain, self.tree
        return self.stages.run(
            "config",
            lambda: kconfig.resolve(
                request, made, toolchain=compilers, checkout=self.checkout,
                store=self.store, limits=self.settings.limits,
            ),
        )  # fmt: skip

    @cached_property
    def kernel(self) -> Kernel:
        """The kernel under test: built, or the user's own."""
        if self.job.kernel:
            return foreign.find(self.job.kernel, self.arch, self.store)
        return self.build(self.arch.target)

    def build(self, target: str) -> Kernel:
        """Build `target`, one of the architecture's."""
        config = self.kconfig
        return self.stages.run(
            "build",
            lambda: builds.build(
                self.tree,
                config,
                arch=self.arch,
                toolchain=self.toolchain,
                checkout=self.checkout,
                store=self.store,
                target=target,
                limits=self.settings.limits,
            ),
        )

    @cached_property
    def scenario(self) -> Scenario:
        """The guest code and its expectations.

        Asked for by name, or the one the series names; a series that names none, and a kernel of
        the user's own, are only booted.
        """
        if self.job.kselftests:
            return scenario.load(kselftest.SCENARIO, [paths.shipped("initramfs")])
        name = self.job.scenario
        if name is None and self.job.kernel is None:
            name = self.series.scenario or (None if self.series.patches else self.settings.scenario)
        found = scenario.load(name or "boot", self.settings.initramfs)
        return found if self.job.kernel else selection.promised(found, self.series)

    @cached_property
    def flows(self) -> tuple[str, ...]:
        """The flows to run."""
        return selection.flows(self.scenario, self.job.flows)

    @cached_property
    def selftests(self) -> tuple[kselftest.Selftest, ...]:
        """The kernel's own selftests that the job runs."""
        return kselftest.find(self.job.kselftests, self.tree) if self.job.kselftests else ()

    @cached_property
    def programs(self) -> dict[str, kselftest.Programs]:
        """What each selftest was built to, by its name."""
        maker = kselftest_build.Maker(
            tree=self.tree, arch=self.arch, toolchain=self.toolchain,
            store=self.store, limits=self.settings.limits,
        )  # fmt: skip
        build = partial(kselftest_build.build, maker)
        return {
            test.name: self.stages.run("kselftest", partial(build, test), detail=lambda p: p.name)
            for test in self.selftests
        }

    @cached_property
    def plans(self) -> tuple[BootPlan, ...]:
        """The boots that the flows are spread over."""
        if self.selftests:
            return kselftest.plans(self.selftests, self.flows)
        return selection.boots(self.scenario, self.flows)

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
        if self.job.expect:
            return self.job.expect
        has_series = None if self.job.kernel else bool(self.series.patches)
        version = image.version_of(self.kernel.release)
        return selection.variant(
            self.scenario, selection.facts(self.job, version=version, has_series=has_series)
        )

    @cached_property
    def known_splats(self) -> tuple[allow.Known, ...]:
        """What allow.toml files say, of whatever kernel."""
        return allow.load(allow.files(self.scenario, (*self.settings.allow, *self.job.allow)))

    @cached_property
    def allowances(self) -> tuple[Allowance, ...]:
        """The known splats of this kernel, as of today."""
        today = datetime.now(UTC).date()
        return allow.choose(self.known_splats, self.job.arch, self.kernel.release, today)

    @cached_property
    def subject(self) -> boots.Subject:
        """What all boots share."""
        return boots.Subject(
            job=self.job,
            arch=self.arch,
            kernel=self.kernel,
            scenario=self.scenario,
            variant=self.variant,
            accel=self.accel,
            store=self.store,
            allowances=self.allowances,
        )

    def spec_of(self, plan: BootPlan, nonce: str) -> BootSpec:
        """Return what QEMU is given for a boot."""
        plain = self.initramfs
        if plan.kselftest:
            programs = self.programs[plan.kselftest]
            plain = kselftest.pack(plain, programs, arch=self.arch, store=self.store)
        return outfit.spec(self.subject, plan, nonce=nonce, plain=plain, stages=self.stages)

    @cached_property
    def batch(self) -> boots.Batch:
        """The boots, made and judged; of a repetition those of the round that decides."""
        plans = selection.for_variant(self.scenario, self.plans, self.variant)
        plans, cannot = outfit.choose(plans, self.kernel, self.arch)
        nonces = [self.nonce, *(secrets.token_hex(4) for _ in plans[1:])]
        asked = [(p, self.spec_of(p, nonce)) for p, nonce in zip(plans, nonces, strict=True)]
        subject = self.subject
        with self.stages.timed("boot", key=self.nonce) as stage:
            if self.job.is_repeated:
                self.repetition = repeat.run(subject, asked, cannot, on_output=self._on_output)
                stage.why, batch = self.repetition.words, self.repetition.deciding.batch
            else:
                batch = boots.make(subject, asked, cannot, on_output=self._on_output)
                stage.why = batch.summary
        if self.accel == accels.KVM and batch.has_failed_qemu:
            accels.distrust(self.arch, self.store)
        return batch

    @cached_property
    def verdict(self) -> Verdict:
        """What it comes to. Subject's and host's faults raise."""
        # What is wrong with the question is said before minutes are spent on it.
        selection.check_variant(self.scenario, self.job.expect)
        _, _, _ = self.flows, self.accel, self.known_splats
        _ = self.selftests and self.programs
        batch = self.batch
        from harness import verdict  # noqa: PLC0415 - `boots` has imported it while a guest ran

        whole = self.repetition
        found = whole.verdict if whole else verdict.combine(batch.done, batch.not_booted)
        return verdict.with_expired(found, self.allowances)

    def checkout(self) -> AbstractContextManager[lane.Worktree]:
        """Lend the files of the tree, whatever was built of them."""
        return lane.checkout_mended(self.tree, store=self.store, remake=self._materialise)
