"""What a `series.toml` may say of the patches beside it; all of it optional."""

from pathlib import Path

import msgspec

from harness import strict_toml


class SeriesFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of series.toml; the first of `bases` is the default one.

    `cmdlines` is what `harness check` boots each patch with. `since` maps a column of the scenario
    to the number of the patch that it is promised from, or a pattern of observations to that from
    which they are judged.
    """

    title: str = ""
    version: int = 1
    message_id: str | None = msgspec.field(default=None, name="message-id")
    base_commit: str | None = msgspec.field(default=None, name="base-commit")
    bases: tuple[str, ...] = ()
    scenario: str | None = None
    cmdlines: tuple[str, ...] = ()
    since: dict[str, int] = {}


def read(path: Path) -> SeriesFile:
    """Read a series.toml.

    Raises:
        UsageError: it is not valid.
    """
    return strict_toml.load(path, SeriesFile)
