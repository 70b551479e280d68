"""The stages that a job has been through: timed, kept, and told on stderr as they end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from harness import log
from harness.store import Entry

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Stage:
    """A stage: what names its product, whether that was in the cache, and why not."""

    name: str
    key: str = ""
    cached: bool = False
    why: str = ""
    detail: str = ""
    """What came of it, for a person who waits."""
    seconds: float = 0.0


class StageLog:
    """The stages of one job, in the order in which they ended."""

    def __init__(self) -> None:
        self.done: list[Stage] = []

    @contextmanager
    def timed(self, name: str, *, key: str = "") -> Iterator[Stage]:
        """Yield a stage to fill in; it counts only if the work does not raise."""
        started = time.monotonic()
        stage = Stage(name=name, key=key)
        yield stage
        stage.seconds = time.monotonic() - started
        self.done.append(stage)
        words = [w for w in (stage.detail, "cached" if stage.cached else stage.why) if w]
        log.say(f"{name:<10}{stage.seconds:8.2f} s  {'; '.join(words)}")

    def run(
        self,
        name: str,
        work: Callable[[], tuple[T, Entry]],
        *,
        detail: Callable[[T], str] | None = None,
    ) -> T:
        """Do the work of a stage whose product is an entry of the store."""
        with self.timed(name) as stage:
            value, entry = work()
            stage.key, stage.cached, stage.why = entry.key, entry.cached, entry.why
            stage.detail = detail(value) if detail else ""
        return value
