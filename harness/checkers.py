"""The checks of files as they are in a tree, a row each: which files, and what they say of them.

Held against the tree before a patch, what is new is of the patch.
"""

from collections.abc import Callable, Mapping

import msgspec

from harness import kerneldoc, rst, uapi
from harness.filecheck import Request, Said


class Checker(msgspec.Struct, frozen=True, kw_only=True):
    """A check: the files it is for, and how it is asked of some of them."""

    wants: Callable[[str], bool]
    run: Callable[[Request], Said]


CHECKERS: Mapping[str, Checker] = {
    "kernel-doc": Checker(wants=kerneldoc.wants, run=kerneldoc.run),
    "rst": Checker(wants=rst.wants, run=rst.run),
    "uapi": Checker(wants=uapi.wants, run=uapi.run),
}
