"""The highest rate that each generator keeps on one core, seen at the target."""

import sys
from asyncio import timeout
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from benchmarks.peers.arithmetic import RateSearch, judged
from benchmarks.peers.cores import CoreWatch
from benchmarks.peers.figures import Figure
from benchmarks.peers.generators import K6, LOCUST, OHA, OHA_TWO_THREADS, WRK, Generator, Job, absent
from benchmarks.peers.ours import Ours
from benchmarks.targets.target import Target, running

GENERATOR_CORE, TARGET_CORE = 0, 1
DELAY_SECONDS = 0.02
TOLERANCE_SECONDS = 0.05  # the same that our generator has by default
REQUIRED_PERCENT = 99.0
MOST_ERRORS_PERCENT = 1.0
WARM_UP_SECONDS, MEASURED_SECONDS = 1.0, 5.0
_SPARE_SECONDS = 0.3  # what is due at the very end may still come
_TIMEOUT_SECONDS = 40.0
_AGREEMENT_POINTS = 1.0
_UNDISTURBED_PERCENT = 10.0  # of the generator's core, taken by other programs


@dataclass(frozen=True)
class Trial:
    """One run at one rate.

    Attributes:
        at_target: percent of the intended requests that reached the target on time.
        own: the same as the generator says itself, if it does.
        errors: percent, as the generator says.
        others: percent of the generator's core that other programs took meanwhile.
    """

    rate: float
    at_target: float
    own: float | None = None
    errors: float = 0.0
    others: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether the rate was kept, in the eyes of the target and in its own."""
        own = 100.0 if self.own is None else self.own
        return min(self.at_target, own) >= REQUIRED_PERCENT and self.errors <= MOST_ERRORS_PERCENT

    @property
    def flatters(self) -> bool:
        """Whether the generator calls a run good that was late at the target.

        Nobody can tell where other programs took much of the machine: the target itself may have been late.
        """
        own_good = self.own is not None and self.own >= REQUIRED_PERCENT and self.others <= _UNDISTURBED_PERCENT
        return own_good and self.at_target < REQUIRED_PERCENT - _AGREEMENT_POINTS


@dataclass
class Contender:
    """One generator in the contest.

    Attributes:
        start: the rate to try first.
        reference: whether ours is held against it; of several, against the best.
        rounds: how many searches it may make; the best counts.
    """

    generator: Generator
    start: float
    reference: bool = False
    rounds: int = 1
    trials: list[Trial] = field(default_factory=list[Trial])

    @property
    def best(self) -> Trial:
        """The run with the highest rate that was kept; a rate of 0 for none."""
        kept = [trial for trial in self.trials if trial.kept]
        return max(kept, key=lambda trial: trial.rate, default=Trial(0.0, 0.0))

    def search(self, number: int) -> RateSearch | None:
        """Return the search of a round; the later ones look around what the first found."""
        if number >= self.rounds or self.generator.missing:
            return None
        if number == 0:
            return RateSearch(self.start)
        return RateSearch(round(1.06 * (self.best.rate or self.start)), factor=1.12, tries=7)


async def rate() -> Figure:
    """Find the highest rate of plain GETs; at least 1.5 times as high as oha's."""
    field_ = [
        Contender(Ours(), 40_000, rounds=2),
        Contender(OHA, 20_000, reference=True, rounds=2),
        Contender(OHA_TWO_THREADS, 20_000, reference=True, rounds=2),
        Contender(K6, 1_500),
        Contender(LOCUST, 1_000),
    ]
    await _contest(field_, two_steps=False)
    _show("plain GET, requests/s on time", field_, 1)
    await _show_closed()
    return _figure(field_, 1, bound=1.5)


async def scenario() -> Figure:
    """Find the highest rate of two steps with an extracted value and a check; at least ten times k6's."""
    field_ = [
        Contender(Ours(), 12_000, rounds=2),
        Contender(K6, 500, reference=True, rounds=2),
        Contender(LOCUST, 300),
    ]
    await _contest(field_, two_steps=True)
    _show("two steps, requests/s on time (two a session)", field_, 2)
    return _figure(field_, 2, bound=10.0)


async def _contest(contenders: Sequence[Contender], *, two_steps: bool) -> None:
    """Let all search in turns, so that a bad minute of the machine hits everybody."""
    for number in range(max(each.rounds for each in contenders)):
        searches = [(each, search) for each in contenders if (search := each.search(number))]
        while searches := [(each, search) for each, search in searches if not search.over]:
            for each, search in searches:
                trial = await _trial(each.generator, search.rate, two_steps=two_steps)
                each.trials.append(trial)
                search.note(kept=trial.kept)


async def _trial(generator: Generator, rate: float, *, two_steps: bool) -> Trial:
    settle = WARM_UP_SECONDS if generator.settles else 0.0
    seconds = settle + WARM_UP_SECONDS + MEASURED_SECONDS + _SPARE_SECONDS
    own, errors = None, 0.0
    async with running(TARGET_CORE, DELAY_SECONDS) as target:
        job = Job(target.url, rate, seconds, DELAY_SECONDS, two_steps=two_steps)
        watch = CoreWatch(GENERATOR_CORE)
        try:
            async with timeout(_TIMEOUT_SECONDS):
                said = await generator.run(job, GENERATOR_CORE)
            own, errors = said.on_time_percent, said.errors_percent
        except TimeoutError:
            errors = 100.0
        others = watch.others_percent()  # before the target ends: it is a child too
    at_target = _at_target(target, job, settle, anew=generator.settles)
    trial = Trial(rate, at_target, own, errors, others)
    verdict = "kept" if trial.kept else "not kept"
    own_words = "" if own is None else f" ({own:.2f} % by its own report)"
    on_time = f"{at_target:.2f} % on time{own_words}, {errors:.2f} % errors"
    others_took = f"other programs took {others:.0f} % of its core"
    print(f"{generator.name}: {rate:,.0f}/s {verdict}: {on_time}; {others_took}", file=sys.stderr)
    return trial


def _at_target(target: Target, job: Job, settle: float, *, anew: bool) -> float:
    """Return the worst step's percentage on time; the second step is due when the first is answered."""
    steps = [(target.posts, 0.0), (target.gets, DELAY_SECONDS)] if job.two_steps else [(target.gets, 0.0)]
    if not all(arrivals.size for arrivals, _ in steps):
        return 0.0
    first = float(steps[0][0].min())
    return min(
        judged(
            arrivals,
            job.rate,
            first=first + later,
            skip=WARM_UP_SECONDS + settle,
            seconds=MEASURED_SECONDS,
            tolerance=TOLERANCE_SECONDS,
            anew=anew,
        )
        for arrivals, later in steps
    )


def _figure(contenders: Sequence[Contender], requests: int, bound: float) -> Figure:
    ours, mine = contenders[0], requests * contenders[0].best.rate
    references = [each for each in contenders if each.reference and not each.generator.missing]
    theirs = max((requests * each.best.rate for each in references), default=None)
    flattering = sum(trial.flatters for trial in ours.trials)
    others = {
        each.generator.name: None if each.generator.missing else requests * each.best.rate
        for each in contenders[1:]
    }
    return Figure(
        mine,
        theirs,
        bound,
        holds=bool(theirs) and mine >= bound * (theirs or 0) and not flattering,
        more={"others": others, "own_report_flatters": flattering},
    )


def _show(title: str, contenders: Sequence[Contender], requests: int) -> None:
    columns = ("requests/s", "ours is", "on time", "by its own report", "others on its core", "runs")
    table = Table("generator", *columns, title=title)
    ours = contenders[0].best.rate
    for each in contenders:
        name, best = f"{each.generator.name} {each.generator.version}", each.best
        if each.generator.missing:
            table.add_row(name, "–")
            continue
        times = f"{ours / best.rate:.2f} times" if best.rate else "–"
        own = "–" if best.own is None else f"{best.own:.2f} %"
        share = f"{best.at_target:.2f} %", own, f"{best.others:.0f} %"
        sums = f"{requests * best.rate:,.0f}", times, *share, str(len(each.trials))
        table.add_row(name, *sums)
    table.caption = absent(each.generator for each in contenders)
    Console(width=110).print(table)


async def _show_closed() -> None:
    """Print what wrk does; its model is closed, so that there is no rate to keep."""
    if WRK.missing:
        print(f"wrk: {WRK.missing}")
        return
    async with running(TARGET_CORE, DELAY_SECONDS) as target:
        said = await WRK.run(Job(target.url, 0, MEASURED_SECONDS, DELAY_SECONDS), GENERATOR_CORE)
    print(f"wrk {WRK.version}, closed: no rate to keep; {said.rate:,.0f}/s as fast as 2,000 connections go")
