"""What the tool needs of this machine: found where, which version, how to get it."""

import shutil
from pathlib import Path

import msgspec

from harness import paths, proc, sandbox
from harness.sandbox import BUBBLEWRAP, NONE, UNSHARE, why_not


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A row of data/tools.toml, held against this machine. `found` is None where it is missing."""

    name: str
    needed: str
    purpose: str
    debian: str
    other: str
    found: Path | None
    version: str

    @property
    def is_vital(self) -> bool:
        """Whether the main job fails without it."""
        return self.needed in ("always", "build", "boot")

    @property
    def option(self) -> str | None:
        """The option of the tool's that needs it, and nothing else does."""
        return self.needed if self.needed.startswith("--") else None


def examine() -> list[Tool]:
    """Look for every tool of the table, in its order."""
    import tomllib  # noqa: PLC0415 - one verb needs it

    rows = tomllib.loads((paths.PACKAGE_DIR / "data" / "tools.toml").read_text())
    tools = []
    for name, row in rows.items():
        found = _find(name, row.get("file", []))
        tools.append(
            Tool(
                name=name,
                needed=row["needed"],
                purpose=row["for"],
                debian=row["debian"],
                other=row["other"],
                found=found,
                version=_version(found, row.get("version")) if found else "",
            )
        )
    return tools


def sandbox_line() -> str:
    """Return what confines the code of a patch here, and why nothing better does.

    Raises:
        UsageError, HostError: as `sandbox.kind`.
    """
    chosen = sandbox.kind()
    better = {BUBBLEWRAP: (), UNSHARE: (BUBBLEWRAP,), NONE: (BUBBLEWRAP, UNSHARE)}[chosen]
    why = "; ".join(f"{each}: {obstacle}" for each in better if (obstacle := why_not(each)))
    return f"sandbox: {chosen}" + (f" ({why})" if why else "")


def install_lines(tools: list[Tool]) -> list[str]:
    """Return a line for what is missing, and one for each option that something is missing for."""
    missing: dict[str | None, list[Tool]] = {}
    for tool in tools:
        if tool.found is None:
            missing.setdefault(tool.option, []).append(tool)
    return [
        f"{f'for {option}' if option else 'to get what is missing'}: {_install_line(those)}"
        for option, those in missing.items()
    ]


def _install_line(missing: list[Tool]) -> str:
    """Return the command that brings what is missing: Debian's, elsewhere the things by name."""
    if shutil.which("apt-get"):
        return f"apt-get install {' '.join(sorted({tool.debian for tool in missing}))}"
    return f"install {', '.join(sorted({tool.other for tool in missing}))}"


def _find(name: str, files: list[str]) -> Path | None:
    if files:
        return next((path for path in map(Path, files) if path.exists()), None)
    found = proc.find(name)
    return Path(found) if found else None


def _version(path: Path, arguments: list[str] | None) -> str:
    if arguments is None:
        return ""
    done = proc.run([str(path), *arguments], timeout_s=10)
    text = done.text or done.error_text
    return text.splitlines()[0].strip() if text else ""
