"""Takes the cells of a matrix, gives them by kernel, in the order to run them. Pure."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from harness import compress
from harness.job import Job
from harness.matrix import Cell

# How much longer a kernel of this profile or flavor takes to (build, boot); what is not here
# counts once. A guess is good enough: it only decides the order.
_COSTS = {"full": (5.0, 3.0), "kasan": (2.0, 6.0), "lockdep": (1.3, 2.0), "gcov": (1.2, 1.5)}
_BUILD_S = 200.0
_BOOT_S = 2.0


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Cells that share a kernel, which the first of them builds; `cost_s` is a guess."""

    cells: tuple[Cell, ...]
    cost_s: float

    @property
    def is_built(self) -> bool:
        """Whether there is anything to build: a kernel of the user's own is there already."""
        return self.cells[0].job.kernel is None


def groups(cells: Iterable[Cell], needs: Callable[[Job], tuple[str, ...]]) -> tuple[Group, ...]:
    """Return the cells by kernel, what should take longest first.

    `needs` gives what the job's scenario and flows ask of the kernel.
    """
    by_kernel: dict[Job, list[Cell]] = {}
    for cell in cells:
        by_kernel.setdefault(_kernel_of(cell.job, needs(cell.job)), []).append(cell)
    found = [Group(cells=tuple(members), cost_s=_cost(members)) for members in by_kernel.values()]
    # sorted() is stable: what costs the same stays in the order of the axes.
    return tuple(sorted(found, key=lambda group: -group.cost_s))


def _kernel_of(job: Job, needs: tuple[str, ...]) -> Job:
    """Return the job with only what decides its kernel: equal ones share it."""
    plain = Job()
    packing = compress.kconfig_of(job.compress, job.flavors)
    return msgspec.structs.replace(
        job,
        scenario=None,
        flows=(),
        kconfig=() if job.kernel else (*needs, *packing, *job.kconfig),
        cmdline=plain.cmdline,
        expect=plain.expect,
        timeout_s=plain.timeout_s,
        memory_mib=plain.memory_mib,
        compress=plain.compress,
    )


def _cost(cells: Sequence[Cell]) -> float:
    job = cells[0].job
    build, boot = _BUILD_S, _BOOT_S
    for word in (job.profile, *job.flavors):
        factors = _COSTS.get(word, (1.0, 1.0))
        build, boot = build * factors[0], boot * factors[1]
    return (0.0 if job.kernel else build) + boot * len(cells)
