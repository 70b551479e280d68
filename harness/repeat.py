"""Takes a job's boots, makes them over and over; gives how often they came to what.

A round is all boots of the job once, one after another; as many rounds as there are CPUs are under
way at a time. Each boot has a nonce of its own; nothing else differs.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import msgspec

from harness import boots, log
from harness.errors import HostError, Outcome
from harness.job import Booted, BootPlan, BootSpec, EndReason, Job, NotBooted, Verdict
from harness.tally import Repetition, Round, Tally

__all__ = ["Repetition", "run"]

# A machine that fails so often without a break fails for good.
_HOST_ERRORS_MAX = 3
# Where nobody sees a line redrawn.
_SILENCE_S = 60.0

Asked = Sequence[tuple[BootPlan, BootSpec]]


def run(
    subject: boots.Subject,
    asked: Asked,
    left_out: Sequence[NotBooted] = (),
    *,
    on_output: Callable[[bytes], None] | None = None,
) -> Repetition:
    """Make the rounds that `subject.job` asks for; `left_out` are boots that no round makes.

    It ends early after a finding, if the job says so, and when the host fails again and again;
    also at ^C, with what there is by then.

    Raises:
        KeyboardInterrupt: at ^C before any round was done.
        HostError: there is no QEMU, or it cannot be started, from the first round on.
    """
    crew = boots.Crew(subject, on_output)
    tally = Tally(allowances=subject.allowances, asked=subject.job.repeat)
    one = _Rounds(crew, asked, left_out)
    with log.progress("rounds") as line, ThreadPoolExecutor(crew.size) as pool:
        teller = _Teller(tally, line)
        running: set[Future[Round | None]] = set()
        started = 0
        why, is_interrupted = "", False
        try:
            while not why:
                while len(running) < crew.size and started != subject.job.repeat:
                    running.add(pool.submit(one.make))
                    started += 1
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    _count(future, tally, teller)
                why = _why_stop(subject.job, tally)
        except KeyboardInterrupt:
            why, is_interrupted = "interrupted", True
            if not tally.done:
                raise
        finally:
            # The guests of other rounds end within half a second of this, and do not count.
            crew.interrupt.set()
    return tally.result(stopped=why, is_interrupted=is_interrupted)


def _count(future: "Future[Round | None]", tally: Tally, teller: "_Teller") -> None:
    try:
        made = future.result()
    except HostError as error:
        if not tally.done:
            raise
        found = Verdict(outcome=Outcome.HOST_ERROR, reason=error.message)
        made = Round(batch=boots.Batch(done=()), verdict=found)
    if made is not None:
        teller.tell(is_new=tally.add(made))


def _why_stop(job: Job, tally: Tally) -> str:
    if job.until_fail and tally.findings:
        return "a finding, as asked"
    if tally.host_errors_in_a_row >= _HOST_ERRORS_MAX:
        return f"{_HOST_ERRORS_MAX} host errors in a row"
    return ""


class _Rounds:
    """Makes rounds, each in a thread."""

    def __init__(self, crew: boots.Crew, asked: Asked, left_out: Sequence[NotBooted]) -> None:
        self._crew = crew
        self._asked = asked
        self._left_out = tuple(left_out)

    def make(self) -> Round | None:
        """Make a round; None if it was cut short by an interrupt."""
        done: list[Booted] = []
        for plan, spec in self._asked:
            if self._crew.interrupt.is_set():
                return None
            booted = self._crew.boot(plan, self._anew(plan, spec))
            if booted.transcript.ended is EndReason.HOST_QUIT and self._crew.interrupt.is_set():
                return None
            done.append(booted)
            if booted.verdict.outcome in boots.LAST_OUTCOMES:
                break
        from harness import verdict  # noqa: PLC0415 - `boots` has imported it while a guest ran

        unmade = (boots.not_booted_after(done[-1], plan) for plan, _ in self._asked[len(done) :])
        batch = boots.Batch(done=tuple(done), not_booted=(*self._left_out, *unmade))
        return Round(batch=batch, verdict=verdict.combine(batch.done, batch.not_booted))

    def _anew(self, plan: BootPlan, spec: BootSpec) -> BootSpec:
        nonce = secrets.token_hex(4)
        cmdline = boots.cmdline_of(self._crew.subject, plan, nonce)
        return msgspec.structs.replace(spec, nonce=nonce, cmdline=cmdline)


class _Teller:
    """Says how far it is: on a terminal always, elsewhere at each tenth, minute and novelty."""

    def __init__(self, tally: Tally, line: log.Progress) -> None:
        self._tally = tally
        self._line = line
        self._last = time.monotonic()

    def tell(self, *, is_new: bool) -> None:
        done, asked = self._tally.done, self._tally.asked
        words = f"{done}/{asked or '?'}: {self._tally.words}"
        if log.is_live():
            self._line.update(words)
        elif is_new or _is_milestone(done, asked) or time.monotonic() - self._last > _SILENCE_S:
            self._last = time.monotonic()
            log.say(f"rounds    {words}")


def _is_milestone(done: int, asked: int | None) -> bool:
    """Whether it is the first or another tenth; of no known number 1, 2, … 10, 20, … are."""
    if done == 1:
        return True
    if asked is None:
        return not str(done)[1:].strip("0")
    return done * 10 // asked > (done - 1) * 10 // asked
