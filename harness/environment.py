"""What children are given of this process's environment: what is listed here, and nothing else."""

import os

# Tokens and keys have any other name.
_PASSED = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LD_LIBRARY_PATH",
    "TERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR",
    # For what fetches: apt, b4, a scenario's own program.
    "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "APT_CONFIG",
})  # fmt: skip
# The tool's own, the XDG folders, and the Python that a matrix starts again.
_PREFIXES = ("HARNESS_", "XDG_", "PYTHON")


def of_child() -> dict[str, str]:
    """Return the environment of a program that is to be trusted."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED or name.startswith(_PREFIXES)
    }
    return {**passed, "LC_ALL": "C"}


def of_stranger() -> dict[str, str]:
    """Return the environment of a program that runs code from a patch."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/tmp", "LC_ALL": "C"}  # noqa: S108 - its own, in the sandbox
