"""Takes the steps of a gate as they are made, gives what is to be said of the patches' sources.

Each patch is held against the one before it: the warnings of the kernel's build; of the files that
it touches, compiled once more with W=1, sparse and clang; what other checks say of its files; and
its own text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness import (
    blobs,
    checkers,
    checkpatch,
    checks_table,
    diffpaths,
    gitrepo,
    kernelchange,
    lint,
    tags,
    toolchain,
    uncompiled,
    warningdiff,
)
from harness.check_result import CheckRun, Severity, WarningResult
from harness.checks_table import CHECKS, OFF
from harness.errors import HostError
from harness.filecheck import Request
from harness.gate_ledger import Ledger
from harness.gate_step import Seen, Step
from harness.job import CompilerWarning, Patch, Series, Tree
from harness.pipeline import Pipeline
from harness.store import Store

_BUILD = ("compiler", "objtool", "modpost")
# What compiles the files of a patch again.
_ONCE_MORE = ("W=1", "clang")


class _Pair(NamedTuple):
    """What a check says before a patch, of `tree`, and after it."""

    check: str
    tree: Tree
    old: Sequence[CompilerWarning]
    now: Sequence[CompilerWarning]


class Sources:
    """What is found of the sources of a series; `wanted` is the severity of each check, or off."""

    def __init__(self, whole: Series, wanted: Mapping[str, str], store: Store) -> None:
        self._whole = whole
        self._store = store
        self._severity = {name: checks_table.severity_of(name, wanted) for name in CHECKS}
        self._files = {p.number: diffpaths.touched(p.diff) for p in whole.patches}
        self._lint: dict[tuple[int, str], lint.Found] = {}
        self._ledger = Ledger()
        self._pipeline: Pipeline | None = None

    def is_on(self, check: str) -> bool:
        """Whether a check is to be made."""
        return self._severity[check] != OFF

    def look(self, step: Step, pipeline: Pipeline) -> None:
        """Compile the files of this step's patch and of the next again, with more warnings.

        Raises:
            HostError: this machine failed.
        """
        self._pipeline = pipeline
        if step.kernel is None:
            return
        for check in _BUILD:
            self._ledger.note(check, version=pipeline.toolchain.identity)
        names = {*self._files.get(step.number, ()), *self._files.get(step.number + 1, ())}
        sources = step.kernel.sources
        compiled = frozenset(sources.read_text().splitlines()) if sources else frozenset()
        objects = lint.objects_of(names, compiled)
        if objects and (self.is_on("W=1") or self.is_on("sparse")):
            self._lint_with(lint.maker_of(pipeline, has_sparse=self.is_on("sparse")), step, objects)
        if objects and self.is_on("clang"):
            maker = self._clang(pipeline)
            if maker:
                self._lint_with(maker, step, objects)

    def seen(self, steps: Mapping[int, Step]) -> dict[int, Seen]:
        """Return what is to be said of each patch.

        Raises:
            HostError: this machine failed.
        """
        return {patch.number: self._seen(patch, steps) for patch in self._whole.patches}

    def checks(self) -> list[CheckRun]:
        """Return each check that was wanted: whether it was made, or why not."""
        return self._ledger.runs(filter(self.is_on, CHECKS))

    # --- once more, with more warnings --------------------------------------------------

    def _clang(self, pipeline: Pipeline) -> lint.Maker | None:
        name = toolchain.newest_llvm()
        why_not = (
            "the kernel's own compiler is clang" if pipeline.toolchain.compiler.startswith("clang")
            else "" if name else "clang is not installed"
        )  # fmt: skip
        if name and not why_not:
            try:
                other = toolchain.find(name, pipeline.arch, self._store)
                return lint.maker_of(pipeline, check="clang", other=other)
            except HostError as error:
                why_not = error.message
        self._ledger.note("clang", why_not=why_not)
        return None

    def _lint_with(self, maker: lint.Maker, step: Step, objects: Sequence[str]) -> None:
        with self._ledger.timed(maker.check):
            found = lint.run(maker, objects)
        self._lint[step.number, maker.check] = found
        if self.is_on(maker.check):
            self._ledger.note(maker.check, version=maker.toolchain.identity, why_not=found.failed)
        if maker.has_sparse:
            self._ledger.note(
                "sparse",
                version=found.sparse,
                why_not=found.failed or ("" if found.sparse else "sparse is not installed"),
            )

    # --- a patch ------------------------------------------------------------------------

    def _seen(self, patch: Patch, steps: Mapping[int, Step]) -> Seen:
        step = steps.get(patch.number)
        if step is None or step.tree is None:
            return Seen()
        earlier = [steps[n] for n in range(patch.number - 1, -1, -1) if n in steps]
        before = next((each for each in earlier if each.tree), None)
        built = next((each for each in earlier if each.tree and each.kernel), None)
        pairs = [*self._of_text(patch, step.tree)]
        if before and before.tree:
            pairs += self._of_files(patch, before.tree, step.tree)
        if built and step.kernel:
            pairs += self._of_builds(patch, built, step)
        new: list[WarningResult] = []
        fixed: list[WarningResult] = []
        known = 0
        for pair in pairs:
            brought, gone, kept = warningdiff.compare(pair.old, pair.now)
            new += self._told(brought, pair.check, step.tree)
            fixed += self._told(gone, pair.check, pair.tree)
            # The build's are counted with the base.
            known += 0 if pair.check == "compiler" else kept
        seen = Seen(new=tuple(new), fixed=tuple(fixed), known=known)
        return self._with_kernels(seen, patch, built, step) if built else seen

    def _with_kernels(self, seen: Seen, patch: Patch, before: Step, step: Step) -> Seen:
        if not (step.tree and step.kernel and before.kernel):
            return seen
        files = self._files[patch.number]
        missing = uncompiled.of(files, step.tree, step.kernel)
        is_same = before.image == step.image
        return msgspec.structs.replace(
            seen,
            uncompiled=tuple(missing),
            is_untested=bool(missing)
            and is_same
            and len(missing) == len(uncompiled.code_of(files)),
            changes=None if is_same else kernelchange.of(before.kernel, step.kernel, self._store),
        )

    def _of_builds(self, patch: Patch, before: Step, step: Step) -> Iterator[_Pair]:
        """Yield what the compilers say of a patch, before and after it."""
        if not (before.kernel and before.tree and step.kernel):
            return
        sides = (before.kernel.warnings, step.kernel.warnings)
        yield _Pair("compiler", before.tree, *sides)
        # What the kernel's own build says as well is of that.
        plain = {each.key for side in sides for each in side}
        own = sorted(f"{name.removesuffix('.c')}.o" for name in self._files[patch.number])
        for check in _ONCE_MORE:
            found = [self._lint.get((s.number, check)) for s in (before, step)]
            old, now = (
                [w for name in own for w in side.objects.get(name, ()) if w.key not in plain]
                if side else [] for side in found
            )  # fmt: skip
            yield _Pair(check, before.tree, old, now)

    def _of_files(self, patch: Patch, before: Tree, after: Tree) -> Iterator[_Pair]:
        """Yield what is said of the files of a patch, before and after it."""
        for check, checker in checkers.CHECKERS.items():
            files = list(filter(checker.wants, self._files[patch.number]))
            if not files or not self.is_on(check) or self._pipeline is None:
                continue
            with self._ledger.timed(check):
                old, now = (
                    checker.run(
                        Request(
                            tree=tree, files=files, arch=self._pipeline.arch,
                            toolchain=self._pipeline.toolchain, store=self._store,
                            limits=self._pipeline.settings.limits,
                        )
                    )
                    for tree in (before, after)
                )  # fmt: skip
            self._ledger.note(check, version=now.version, why_not=old.why_not or now.why_not)
            if not (old.why_not or now.why_not):
                yield _Pair(check, before, old.warnings, now.warnings)

    def _of_text(self, patch: Patch, tree: Tree) -> Iterator[_Pair]:
        """Yield what is said of the patch itself."""
        if self.is_on("tags"):
            self._ledger.note("tags")
            yield _Pair("tags", tree, (), tags.run(patch, self._subject_of))
        if self.is_on("checkpatch"):
            with self._ledger.timed("checkpatch"):
                said = checkpatch.run(patch, tree, self._store)
            self._ledger.note("checkpatch", why_not=said.why_not)
            yield _Pair("checkpatch", tree, (), said.warnings)

    def _subject_of(self, commit: str) -> str | None:
        clone = self._pipeline.job.tree if self._pipeline else None
        if clone is None:
            return None
        argv = ["log", "-1", "--format=%s", "--end-of-options", f"{commit}^{{commit}}", "--"]
        return gitrepo.read_clone(clone, argv).text or None

    def _told(
        self, found: Iterable[CompilerWarning], otherwise: str, tree: Tree
    ) -> Iterator[WarningResult]:
        for each in found:
            check = checks_table.check_of(each, otherwise=otherwise)
            if self.is_on(check):
                yield WarningResult(
                    check=check,
                    file=each.file,
                    line=each.line or None,
                    flag=each.flag,
                    message=each.message,
                    function=each.function,
                    severity=Severity(self._severity[check]),
                    text=list(each.text),
                    source=blobs.line(tree, each.file, each.line or None) if each.file else "",
                )
