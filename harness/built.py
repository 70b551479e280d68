"""What was built last in a lane: it tells why the next kernel is not there yet."""

from contextlib import suppress

from harness import gitrepo, notes
from harness.errors import HostError
from harness.job import Kconfig, Tree
from harness.store import Store


def note(tree: Tree, kconfig: Kconfig, store: Store) -> None:
    """Keep what was built."""
    facts = {"commit": tree.commit, "config": kconfig.digest}
    notes.write(store.root / "lanes" / tree.lane / "built.json", tree.lane, facts)


def why(tree: Tree, kconfig: Kconfig, store: Store) -> str:
    """Return in what a kernel differs from the one that was built last."""
    last = notes.read(store.root / "lanes" / tree.lane / "built.json", tree.lane)
    if not last:
        return "first build of this base"
    if last["commit"] == tree.commit:
        return ".config differs" if last["config"] != kconfig.digest else "not in the cache"
    argv = ["diff-tree", "-r", "--name-only", last["commit"], tree.commit]
    names: list[str] = []
    # It only explains, and the repository may be damaged: who takes files from it will find out.
    with suppress(HostError):
        names = gitrepo.run(tree.repo, argv).text.splitlines()
    if not names:
        return "the tree differs"
    return f"{names[0]} differs" + (f", and {len(names) - 1} more" if len(names) > 1 else "")
