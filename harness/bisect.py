"""Takes a question about a history, gives the commit that answers it, try by try.

Both ends first: what the one shows and the other does not is the signature. Then the commit that
tells most for its price, until one is left, or is sure enough. Each answer is kept before the next
is asked, so that a bisect that is killed goes on where it was.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import bisect_history, bisect_over, bisect_state, bootcache, log, signature
from harness.bisect_state import REUSED, Over, State, Try
from harness.errors import Outcome, SubjectError, UsageError
from harness.job import Kernel
from harness.pipeline import Pipeline
from harness.settings import Settings
from harness.signature import Class, Facts, Signature
from harness.store import Store

# Seconds, until a build and a boot were made.
_GUESS_BUILD, _GUESS_BOOT = 30.0, 1.0
# How often the good commit next to the answer is booted again: each boot unmasks half of the
# findings that show in half of the boots. So often in any case, and up to so often in a part of the
# time that the bisect has taken.
_LEAST_PROOFS, _MOST_PROOFS, _PROOFS_SHARE = 2, 8, 0.05


_BUILDS = Facts(outcome=Outcome.PASS, reason="it builds, and was not booted")


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One boot of a commit; `build_s` of its seconds went by until there was a kernel.

    `sources` are the files that it was compiled from, `console` is what the guest said, `is_reused`
    that nothing was booted.
    """

    commit: str
    facts: Facts
    seconds: float
    build_s: float
    sources: tuple[str, ...] = ()
    console: Path | None = None
    is_reused: bool = False


def _mean(seconds: Sequence[float], guess: float) -> float:
    """Return the mean, no less than a tenth so that it can be divided by; a guess of none."""
    return max(0.1, sum(seconds) / len(seconds)) if seconds else guess


class Bisect:
    """A bisect under way on this machine."""

    def __init__(self, state: State, *, settings: Settings, store: Store) -> None:
        self.state = state
        self._settings = settings
        self._store = store

    def run(self) -> State:
        """Go on to the end, and return what is known then.

        Raises:
            HostError: this machine failed: the bisect can go on later.
            UsageError: the job asks for what cannot be.
        """
        if self.state.signature is None and not self._ends():
            return self.state
        while (name := self._next()) is not None or self._is_doubtful():
            if name is not None:
                self._keep(self._boot(name))
        return self.state

    def _next(self) -> str | None:
        """Return the commit to try next; None if the answer is there, or cannot be had."""
        state = self.state
        if state.question.over.is_subset:
            return state.step().ask
        history, tallies = state.history(), state.tallies()
        found = history.posterior(tallies)
        if not found or max(found.values()) >= state.enough:
            return None
        boot = _mean(self._boots(), _GUESS_BOOT)
        build = _mean([t.build_s for t in state.tries if t.build_s > 1], _GUESS_BUILD)
        built = {t.commit: boot for t in state.tries}
        choice = history.choose(
            tallies, cost=built, default_cost=build + boot, barred=state.barred()
        )
        if choice:
            likeliest = max(found, key=lambda name: found[name])
            odds = f", {likeliest[:12]} with {found[likeliest]:.0%}" if state.is_flaky else ""
            log.say(
                f"{len(found)} can be it{odds}; some {max(1, round(choice.tries))} tries, "
                f"{choice.seconds / 60:.1f} minutes"
            )
        return choice.name if choice else None

    def _boots(self) -> list[float]:
        """Return how many seconds each boot took that was made."""
        return [t.seconds - t.build_s for t in self.state.tries if t.class_ != REUSED]

    # --- whether it is so ---------------------------------------------------------------

    def _is_doubtful(self) -> bool:
        """Whether a finding that was held to show each time does not: then the odds are weighed.

        What is good next to the answer is booted again for that, as often as is cheap.
        """
        state, over = self.state, self.state.question.over
        if state.is_flaky or over.is_subset or state.signature is None:
            return False
        found = state.history().posterior(state.tallies())
        if not found:
            return self._doubt()
        boots = self._boots()
        near = self._nearest_good(next(iter(found), ""))
        if len(found) > 1 or not state.signature.is_of_a_boot or not boots or near is None:
            return False
        wanted = round(_PROOFS_SHARE * state.seconds / _mean(boots, _GUESS_BOOT))
        wanted = max(_LEAST_PROOFS, min(wanted, _MOST_PROOFS))
        if self.state.proofs < wanted:
            log.say(f"the good commit next to it {wanted - state.proofs} times more, to be sure")
        while self.state.proofs < wanted:
            again = self._boot(near, is_fresh=True)
            told = self._told(again)
            if told is not Class.GOOD:
                self._keep(again)
                return told is Class.BAD and self._doubt()
            seconds = round(self.state.seconds + again.seconds, 2)
            self._set(proofs=self.state.proofs + 1, seconds=seconds)
        return False

    def _doubt(self) -> bool:
        log.warn("the tries contradict each other: the finding comes and goes, so odds are weighed")
        self._set(contradicted=True)
        return True

    def _nearest_good(self, answer: str) -> str | None:
        """Return the commit without the finding that was tried nearest to the answer.

        It is one that the answer has, or of a repair one that has the answer.
        """
        history, fixed = self.state.history(), self.state.question.fixed
        goods = [
            each.commit
            for each in self.state.tries
            if each.told is Class.GOOD
            and (
                history.has(each.commit, brought_by=answer)
                if fixed
                else history.has(answer, brought_by=each.commit)
            )
        ]
        return (min if fixed else max)(goods, key=history.place, default=None)

    # --- the ends -----------------------------------------------------------------------

    def _ends(self) -> bool:
        """Try both ends, and say whether they differ."""
        between, question = self.state.between, self.state.question
        ends = {"old": between.old, "new": between.new}
        # The end that has the finding first: without one there is nothing to ask.
        with_finding, without = ("old", "new") if question.fixed else ("new", "old")
        bads = self._end(ends[with_finding], until_finding=True)
        goods = self._end(ends[without], until_finding=False)
        bad = next((each.facts for each in bads if self._is_finding(each)), bads[-1].facts)
        good = next((each.facts for each in goods if not self._is_finding(each)), goods[0].facts)
        found = signature.of(bad, good, question.threshold)
        mattering = frozenset(each.name for each in between.commits)
        if question.over is Over.COMMITS:
            ends_sources = [bads[-1].sources, goods[-1].sources]
            # Whether a series applies hangs on files that no kernel is compiled from.
            if bad.outcome is not Outcome.APPLY_FAILED:
                mattering = bisect_history.mattering(between, ends_sources)
        told = [signature.classify(found, each.facts, good) for each in goods] if found else []
        self.state = msgspec.structs.replace(
            self.state,
            bad=bad, good=good, signature=found, mattering=tuple(sorted(mattering)),
            strays=Class.BAD in told,
        )  # fmt: skip
        if found:
            log.say(f"looking for: {found.words}")
            if question.over is Over.COMMITS:
                log.say(f"{len(mattering)} of {len(between.commits)} commits can matter")
        # Kept as a whole: who has the signature has been told of both ends.
        self._keep(*bads, *goods)
        return found is not None

    def _end(self, commit: str, *, until_finding: bool) -> list[Attempt]:
        """Boot an end as often as the question says, or until it has a finding."""
        found: list[Attempt] = []
        for _ in range(self.state.question.rounds):
            found.append(self._boot(commit))
            if until_finding and self._is_finding(found[-1]):
                break
        return found

    def _is_finding(self, each: Attempt) -> bool:
        threshold = self.state.question.threshold
        if threshold:
            return signature.by_threshold(threshold, each.facts) is Class.BAD
        return each.facts.outcome is not Outcome.PASS

    # --- a try --------------------------------------------------------------------------

    def _boot(self, commit: str, *, is_fresh: bool = False) -> Attempt:
        log.say(f"- {bisect_over.words_of(self.state, commit)}")
        started = time.monotonic()
        job = bisect_over.job_of(self.state, commit)
        pipeline = Pipeline(job, settings=self._settings, store=self._store)
        kernel = self._kernel(commit, pipeline)
        build_s = time.monotonic() - started
        if isinstance(kernel, Facts):
            return Attempt(commit=commit, facts=kernel, seconds=build_s, build_s=build_s)
        kept = bootcache.run(pipeline, is_fresh=is_fresh or self.state.is_flaky)
        return Attempt(
            commit=commit,
            facts=signature.facts_of(kept.result, str(kept.folder or "")),
            seconds=time.monotonic() - started,
            build_s=build_s,
            sources=tuple(kernel.sources.read_text().splitlines()) if kernel.sources else (),
            console=kept.console,
            is_reused=kept.is_reused,
        )

    def _kernel(self, commit: str, pipeline: Pipeline) -> Kernel | Facts:
        """Return the kernel of a commit, or the facts where those need no boot of it."""
        try:
            kernel = pipeline.kernel
        except SubjectError as error:
            return signature.facts_of_fault(error)
        except UsageError as error:
            # At an end it is the question that is wrong; in between, the commit: it may be no tree
            # of a kernel at all, as the root of what was merged from elsewhere.
            if commit in (self.state.between.old, self.state.between.new):
                raise
            return Facts(outcome=Outcome.APPLY_FAILED, reason=error.message)
        is_enough = self.state.signature and not self.state.signature.is_of_a_boot
        return _BUILDS if is_enough else kernel

    def _keep(self, *attempts: Attempt) -> None:
        """Keep what tries say of the question, if there is one."""
        tries = map(self._answer, attempts) if self.state.signature else ()
        seconds = self.state.seconds + sum(each.seconds for each in attempts)
        self._set(tries=(*self.state.tries, *tries), seconds=round(seconds, 2))

    def _answer(self, each: Attempt) -> Try:
        told = self._told(each)
        console = each.console.read_text(errors="replace") if each.console else ""
        is_reused = each.is_reused and told in (Class.GOOD, Class.BAD)
        log.say(f"{told.value}{' (reused)' if is_reused else ''}: {each.facts.reason}")
        return Try(
            commit=each.commit,
            outcome=each.facts.outcome.value,
            class_=REUSED if is_reused else told.value,
            told=told,
            reason=each.facts.reason,
            seconds=round(each.seconds, 2),
            build_s=round(each.build_s, 2),
            run=each.facts.run,
            evidence=signature.shown(self._signature, each.facts, console),
        )

    def _told(self, each: Attempt) -> Class:
        if self.state.good is None:
            raise RuntimeError("the ends are not known")
        return signature.classify(self._signature, each.facts, self.state.good)

    @property
    def _signature(self) -> Signature:
        if self.state.signature is None:
            raise RuntimeError("the ends are not known")
        return self.state.signature

    def _set(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        bisect_state.save(self.state)
