"""Checks load tests, and how campaigns use them, against the other files."""

from collections.abc import Iterator
from contextlib import suppress

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


def untold_contexts(campaign: CampaignSpec, test: LoadSpec) -> str:
    """Return a warning where a test loads contexts that its campaign does not have; empty where it does not.

    Where such a context saturates, none of its resources is known, so it cannot be told which one ran out.
    """
    loaded = dict.fromkeys(step.context for step in test.steps)
    missing = [name for name in loaded if name not in campaign.contexts]
    if not missing:
        return ""
    listed = ", ".join(f"'{name}'" for name in missing)
    return (
        f"campaign '{campaign.name}' has no context {listed}, which '{test.name}' loads: a result cannot name "
        f"a resource of it. Add it to 'contexts' with its resources, or rename the steps' 'context'."
    )


def warnings_of(test: LoadSpec, library: RunbookLibrary) -> Iterator[str]:
    """Yield a warning for each campaign that uses this test and does not have all of its contexts."""
    for name in library.names("campaign"):
        with suppress(InvalidInput):  # one that is wrong itself is told of where it is checked
            campaign = library.campaign(name).spec
            if campaign.load_test.runbook == test.name and (warning := untold_contexts(campaign, test)):
                yield warning


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
