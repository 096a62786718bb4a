"""Checks load tests, and how campaigns use them, against the other files."""

from collections.abc import Iterator

from holdfast.domain.errors import InvalidInput
from holdfast.domain.people import People
from holdfast.runbook.blackouts import Cron
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.plain_yaml import Problem
from holdfast.runbook.review import nobody_holds, refuse
from holdfast.runbook.source import Source


def review_load(spec: LoadSpec, people: People, *, source: Source | None = None) -> None:
    """Check that somebody may start a load test.

    Raises:
        RunbookInvalid: one line for each problem.
    """
    refuse(list(nobody_holds(("starters",), spec.starters, people)), source, f"runbook '{spec.name}'")


def review_test_of(campaign: CampaignSpec, library: RunbookLibrary, *, source: Source | None = None) -> None:
    """Check that a campaign's peak fits its load test, and that its schedule can be read.

    Raises:
        UnknownName: there is no such load test.
        RunbookInvalid: one line for each problem; or the load test's own file is wrong.
    """
    problems = [*_schedule_problems(campaign), *_peak_problems(campaign, library)]
    refuse(problems, source, f"runbook '{campaign.name}'")


def _schedule_problems(campaign: CampaignSpec) -> Iterator[Problem]:
    schedule = campaign.load_test.schedule
    if schedule is None:
        return
    try:
        Cron(schedule.cron)
    except InvalidInput as error:
        yield Problem(("load_test", "schedule", "cron"), str(error).removeprefix("cron: "))


def _peak_problems(campaign: CampaignSpec, library: RunbookLibrary) -> Iterator[Problem]:
    peak, test = campaign.load_test.peak, library.load_test(campaign.load_test.runbook).spec
    lasts = peak.each * len(peak.percent)
    if peak.highest > test.ceilings.rate:
        yield Problem(
            ("load_test", "peak"),
            f"reaches {peak.highest:g} sessions a second, and '{test.name}' allows {test.ceilings.rate:g} "
            "(ceilings.rate)",
        )
    if lasts > test.ceilings.lasts:
        yield Problem(
            ("load_test", "peak"),
            f"lasts {lasts}, and '{test.name}' allows {test.ceilings.lasts} (ceilings.for)",
        )
