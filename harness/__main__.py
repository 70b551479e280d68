"""`python -m harness`, and what the command `harness` calls."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; an installation that is broken exits 128, not by Python's 1."""
    try:
        from harness.cli import main as run  # noqa: PLC0415 - it is what may fail
    except (ImportError, OSError, MemoryError) as error:
        sys.stderr.write(f"error: harness is not installed whole: {error}\n")
        sys.stderr.flush()
        os._exit(128)
    run()


if __name__ == "__main__":
    main()
