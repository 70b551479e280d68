"""Takes a tree and assignments, gives what the tree's own Kconfig makes of them: a .config.

Kconfig runs programs of the tree's, so it runs in the sandbox.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from harness import makefault, proc, products, sandbox
from harness.arch import Arch
from harness.errors import Outcome, SubjectError
from harness.lane import Worktree
from harness.limits import Limits
from harness.toolchain import Toolchain, hidden

_LOG = "kconfig.log"
# Bytes. One with every symbol there is has 1 MiB.
_MOST = 16 << 20


class Make(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's make, in so far as it configures."""

    arch: Arch
    toolchain: Toolchain
    worktree: Worktree
    limits: Limits

    def config(self, lines: Iterable[str], folder: Path) -> None:
        """Write `.config` into an empty folder, and beside it what it was made of and the log.

        Raises:
            SubjectError: config-lost, since the tree's Kconfig fails or goes over a limit.
            HostError: this tree refuses the compiler, or a tool is missing.
        """
        fragment = folder / "fragment"
        wanted = list(lines)
        fragment.write_text("".join(f"{line}\n" for line in wanted))
        out = folder / "out"
        out.mkdir()
        try:
            done = self._run(hidden(wanted), fragment, out, folder / _LOG)
            if done.returncode == 0:
                products.take(out, ".config", most=_MOST).rename(folder / ".config")
        except proc.Breach as breach:
            raise _refused(f"it {breach.message}", folder, breach.hint) from None
        if done.returncode != 0:
            text = (folder / _LOG).read_text(errors="replace")
            makefault.check("config", done.returncode, text, folder)
            raise _refused("`make allnoconfig` failed", folder)
        proc.remove_tree(out)

    def _run(
        self, variables: Iterable[str], fragment: Path, out: Path, log_path: Path
    ) -> proc.Completed:
        argv = [
            proc.which("make"),
            "-C", str(self.worktree.path),
            f"O={out}",
            *self.arch.make_variables,
            *self.toolchain.make_variables,
            *variables,
            "allnoconfig",
        ]  # fmt: skip
        return sandbox.run(
            argv,
            read=[self.worktree.path, fragment],
            write=[out],
            limits=self.limits,
            env={"KCONFIG_ALLCONFIG": os.fspath(fragment)},
            log_path=log_path,
            keep_fds=[self.worktree.lock_fd],
        )


def _refused(why: str, folder: Path, hint: str | None = None) -> SubjectError:
    text = (folder / _LOG).read_text(errors="replace")
    return SubjectError(
        Outcome.CONFIG_LOST,
        f"the tree's own Kconfig cannot be read: {why}",
        evidence=tuple(text.splitlines()[-8:]),
        hint=hint,
    )
