"""`harness.matrix/1`: what came of a matrix. docs/matrix.schema.json is made from these structs."""

from collections.abc import Iterable

import msgspec

from harness import cell, document
from harness.errors import EXIT_CODES, EXIT_HOST, EXIT_UNTESTABLE, EXIT_USAGE, Outcome

SCHEMA = "harness.matrix/1"

NOT_RUN = "not-run"
"""The outcome of a cell that was not come to: it was interrupted."""

# From the best to the worst: a host that is at fault leaves the question open.
_RANKS = (0, 1, EXIT_UNTESTABLE, EXIT_USAGE, EXIT_HOST)


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """One job: `values` by axis, its outcome (or `usage`, `not-run`) and why.

    `run` is its folder, seen from the matrix's; null where it has none. `with_cell` is the number
    of another cell whose kernel could not be made, which is this one's too: the run is that one's.
    """

    number: int
    values: dict[str, str]
    outcome: str
    reason: str
    hint: str | None
    seconds: float
    boot_s: float | None
    run: str | None
    with_cell: int | None
    repro: str


class MatrixResult(msgspec.Struct, frozen=True, kw_only=True):
    """A matrix, whole. `kernels` is how many the cells share; `exit_code` that of the worst."""

    schema: str = SCHEMA
    id: str
    version: str
    title: str
    started: str
    """UTC, ISO 8601."""
    seconds: float
    axes: dict[str, list[str]]
    kernels: int
    outcomes: dict[str, int]
    exit_code: int
    cells: list[CellResult]


def exit_code_of(outcomes: Iterable[str]) -> int:
    """Return the exit code of the worst outcome; what was not run is no outcome."""
    codes = [_code(outcome) for outcome in outcomes if outcome != NOT_RUN]
    return max(codes, key=_RANKS.index, default=0)


def _code(outcome: str) -> int:
    return EXIT_USAGE if outcome == cell.USAGE else EXIT_CODES[Outcome(outcome)]


def encode(result: MatrixResult) -> bytes:
    """Return matrix.json."""
    return document.encode(result)


def decode(data: bytes) -> MatrixResult:
    """Read a matrix.json back.

    Raises:
        msgspec.ValidationError: it is not one of this schema.
    """
    return msgspec.json.decode(data, type=MatrixResult)


def json_schema() -> bytes:
    """Return the JSON Schema of matrix.json."""
    return document.schema_of(MatrixResult)
