"""Takes a pipeline that has run, gives what this machine did it with."""

import os
import platform

from harness import __version__, proc, sandbox
from harness.pipeline import Pipeline
from harness.result import HostResult
from harness.toolchain import toolchain_id


def facts(pipeline: Pipeline) -> HostResult:
    """Return the versions of all that took part, and what the kernel's build was confined by."""
    tools = {}
    if "toolchain" in vars(pipeline):
        tools["toolchain"] = pipeline.toolchain.identity
    if "tree" in vars(pipeline):
        # A kernel from the cache was built at another time, and maybe in another.
        built = vars(pipeline).get("kernel")
        tools["sandbox"] = built.sandbox if built else sandbox.kind()
    if "batch" in vars(pipeline):
        tools["qemu"] = toolchain_id(proc.which(pipeline.arch.qemu), pipeline.store)
    return HostResult(
        harness=__version__,
        python=platform.python_version(),
        system=" ".join(os.uname()[i] for i in (0, 2, 4)),
        cpus=len(os.sched_getaffinity(0)),
        tools=tools,
    )
