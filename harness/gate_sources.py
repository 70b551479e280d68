"""Takes the steps of a gate as they are made, gives what is to be said of the patches' sources.

Each patch is held against the one before it: the warnings of the kernel's build, and of the files
that it touches with W=1 and sparse; its own text against checkpatch and the rules for tags.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness import (
    blobs,
    checkpatch,
    checks_table,
    diffpaths,
    gitrepo,
    kernelchange,
    lint,
    proc,
    tags,
    uncompiled,
    warningdiff,
)
from harness.check_result import CheckRun, Severity, WarningResult
from harness.checks_table import CHECKS, OFF
from harness.gate_step import Seen, Step
from harness.job import CompilerWarning, Patch, Series, Tree
from harness.pipeline import Pipeline
from harness.store import Store

_EXTRA = ("W=1", "sparse", "kernel-doc")


class Sources:
    """What is found of the sources of a series; `wanted` is the severity of each check, or off."""

    def __init__(self, whole: Series, wanted: Mapping[str, str], store: Store) -> None:
        self._whole = whole
        self._store = store
        self._severity = {
            name: wanted.get(name, kind.severity.value) for name, kind in CHECKS.items()
        }
        self._files = {p.number: diffpaths.touched(p.diff) for p in whole.patches}
        self._lint: dict[int, lint.Found] = {}
        self._seconds: dict[str, float] = {}
        self._ran: set[str] = set()
        self._versions: dict[str, str] = {}
        self._missing: dict[str, str] = {}
        self._clone: Path | None = None

    def is_on(self, check: str) -> bool:
        """Whether a check is to be made."""
        return self._severity[check] != OFF

    def look(self, step: Step, pipeline: Pipeline) -> None:
        """Compile the files of this step's patch and of the next again, with more warnings.

        Raises:
            HostError: this machine failed.
        """
        self._clone = pipeline.job.tree
        if step.kernel is None:
            return
        for check in ("compiler", "objtool", "modpost"):
            self._note(check, checks_table.version_of(check, pipeline.toolchain))
        if not any(map(self.is_on, _EXTRA)):
            return
        names = {*self._files.get(step.number, ()), *self._files.get(step.number + 1, ())}
        sources = step.kernel.sources
        compiled = frozenset(sources.read_text().splitlines()) if sources else frozenset()
        started = time.monotonic()
        found = lint.run(lint.maker_of(pipeline), lint.objects_of(names, compiled))
        self._lint[step.number] = found
        for check in _EXTRA:
            self._note(check, checks_table.version_of(check, pipeline.toolchain))
            if found.failed:
                self._missing[check] = found.failed
        if proc.find(lint.SPARSE) is None:
            self._missing["sparse"] = "sparse is not installed"
        self._seconds["W=1"] = self._seconds.get("W=1", 0.0) + time.monotonic() - started

    def seen(self, steps: Mapping[int, Step]) -> dict[int, Seen]:
        """Return what is to be said of each patch.

        Raises:
            HostError: this machine failed.
        """
        return {patch.number: self._seen(patch, steps) for patch in self._whole.patches}

    def checks(self) -> list[CheckRun]:
        """Return each check that was wanted: whether it was made, or why not."""
        return [
            CheckRun(
                name=name,
                ran=name in self._ran and name not in self._missing,
                why=self._missing.get(name, "" if name in self._ran else "no kernel was built"),
                version=self._versions.get(name, ""),
                seconds=round(self._seconds.get(name, 0.0), 2),
            )
            for name in CHECKS
            if self.is_on(name)
        ]

    def _note(self, check: str, version: str = "") -> None:
        self._ran.add(check)
        self._versions[check] = version

    def _seen(self, patch: Patch, steps: Mapping[int, Step]) -> Seen:
        step = steps.get(patch.number)
        numbers = range(patch.number - 1, -1, -1)
        before = next((steps[n] for n in numbers if n in steps and steps[n].kernel), None)
        if step is None or step.tree is None:
            return Seen()
        text = [(each, "tags") for each in self._tags(patch)]
        text += [(each, "checkpatch") for each in self._checkpatch(patch, step.tree)]
        new = [self._told(each, check, step.tree) for each, check in text if self.is_on(check)]
        if step.kernel is None or before is None or before.kernel is None or before.tree is None:
            return Seen(new=tuple(new))
        pairs = [
            (before.kernel.warnings, step.kernel.warnings, False),
            (*self._extra(patch, before, step), True),
        ]
        fixed: list[WarningResult] = []
        known = 0
        for old, now, is_extra in pairs:
            brought, gone, kept = warningdiff.compare(old, now)
            new += self._of_build(brought, step.tree, is_extra=is_extra)
            fixed += self._of_build(gone, before.tree, is_extra=is_extra)
            known += kept if is_extra else 0
        files = self._files[patch.number]
        missing = uncompiled.of(files, step.tree, step.kernel)
        is_same = before.image == step.image
        return Seen(
            new=tuple(new),
            fixed=tuple(fixed),
            known=known,
            uncompiled=tuple(missing),
            is_untested=bool(missing)
            and is_same
            and len(missing) == len(uncompiled.code_of(files)),
            changes=None if is_same else kernelchange.of(before.kernel, step.kernel, self._store),
        )

    def _extra(
        self, patch: Patch, before: Step, step: Step
    ) -> tuple[list[CompilerWarning], list[CompilerWarning]]:
        """Return what W=1 and sparse say of the files of a patch, before and after it."""
        sides = [self._lint.get(each.number, lint.Found()).objects for each in (before, step)]
        own = {f"{name.removesuffix('.c')}.o" for name in self._files[patch.number]}
        old, now = ([w for name in sorted(own) for w in side.get(name, ())] for side in sides)
        # What the kernel's own build says as well is of that.
        plain = {
            each.key
            for kernel in (before.kernel, step.kernel)
            if kernel
            for each in kernel.warnings
        }
        return [w for w in old if w.key not in plain], [w for w in now if w.key not in plain]

    def _of_build(
        self, found: Iterable[CompilerWarning], tree: Tree, *, is_extra: bool
    ) -> list[WarningResult]:
        named = [(each, checks_table.check_of(each, is_extra=is_extra)) for each in found]
        return [self._told(each, check, tree) for each, check in named if self.is_on(check)]

    def _told(self, each: CompilerWarning, check: str, tree: Tree) -> WarningResult:
        return WarningResult(
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

    def _checkpatch(self, patch: Patch, tree: Tree) -> list[CompilerWarning]:
        if not self.is_on("checkpatch"):
            return []
        started = time.monotonic()
        said = checkpatch.run(patch, tree, self._store)
        if said.why_not:
            self._missing["checkpatch"] = said.why_not
        self._note("checkpatch")
        self._seconds["checkpatch"] = (
            self._seconds.get("checkpatch", 0.0) + time.monotonic() - started
        )
        return list(said.warnings)

    def _tags(self, patch: Patch) -> list[CompilerWarning]:
        self._note("tags")
        return tags.run(patch, self._subject_of) if self.is_on("tags") else []

    def _subject_of(self, commit: str) -> str | None:
        if self._clone is None:
            return None
        argv = ["log", "-1", "--format=%s", "--end-of-options", f"{commit}^{{commit}}", "--"]
        return gitrepo.read_clone(self._clone, argv).text or None
