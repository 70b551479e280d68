"""Takes two .configs, gives the symbols that they differ in, and the .config of some of those.

Both go through the tree's own Kconfig first, so that they differ in what is built and not in how
they are written. A try is the one with some symbols as the other has them, all of it soft: Kconfig
makes a valid .config of it, in which what cannot be without another symbol is not there.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import kconfig
from harness.bisect_history import Listed
from harness.errors import UsageError
from harness.job import Job
from harness.kconfig import Assignment
from harness.pipeline import Pipeline
from harness.settings import Settings
from harness.store import Store, digest_of, write_atomically

_FIRST = "first.config"
# What make writes at the top of a .config: one that has it says something of every symbol.
_WHOLE = "# Automatically generated file; DO NOT EDIT."


def items(
    job: Job, configs: Sequence[Path], folder: Path, *, settings: Settings, store: Store
) -> list[Listed]:
    """Return what the second of two .configs has otherwise, and keep the first one in `folder`.

    Raises:
        UsageError: a file is no .config, or they differ in nothing.
        SubjectError: the tree's Kconfig fails.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def resolved(extra: Sequence[str]) -> list[Assignment]:
        given = msgspec.structs.replace(job, kconfig=(*job.kconfig, *extra))
        path = Pipeline(given, settings=settings, store=store).kconfig.path
        return kconfig.parse(path.read_text(), ".config")

    asked = resolved(())
    found = []
    for number, path in enumerate(configs):
        text = path.read_text(errors="replace")
        given = kconfig.parse(text, str(path))
        wanted = folder / f"given-{number}.config"
        _write(wanted, _whole(asked, given) if _WHOLE in text else given)
        found.append(kconfig.merge([resolved([os.fspath(wanted)])]))
    first, second = found
    _write(folder / _FIRST, _whole(asked, list(first.values())))
    # Kconfig writes a symbol after what it depends on: so a part that ends there has both.
    order = {name: at for names in (first, second) for at, name in enumerate(names)}
    differing = [name for name in order if _value(first, name) != _value(second, name)]
    if not differing:
        raise UsageError(f"{configs[0]} and {configs[1]} make the same .config of this tree")
    return [
        Listed(
            name=f"CONFIG_{name}={_value(second, name)}",
            parents=(),
            subject=f"CONFIG_{name}={_value(first, name)} in {configs[0].name}",
            files=(),
        )
        for name in sorted(differing, key=lambda name: order[name])
    ]


def _whole(asked: Sequence[Assignment], given: Sequence[Assignment]) -> list[Assignment]:
    """Return a whole .config so that nothing else that the job asks for is in its way."""
    names = {each.name for each in given}
    absent = [
        msgspec.structs.replace(each, value="n") if each.value in ("y", "m") else each
        for each in asked
        if each.name not in names
    ]
    return [*absent, *given]


def files(folder: Path, name: str, chosen: Sequence[str]) -> tuple[Path, Path]:
    """Return the files of a try: the first .config, and over it the assignments `chosen`."""
    path = folder / f"part-{digest_of(name.encode())[:12]}.config"
    write_atomically(path, "".join(f"{each} # soft\n" for each in chosen).encode())
    return folder / _FIRST, path


def _write(path: Path, wanted: Sequence[Assignment]) -> None:
    write_atomically(path, "".join(f"{each.line} # soft\n" for each in wanted).encode())


def _value(config: dict[str, Assignment], name: str) -> str:
    return config[name].value if name in config else "n"
