"""Reads what is kept of a campaign, and makes its report."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from holdfast.adapters.charts.campaign import campaign_chart
from holdfast.adapters.reports.analysis import Material, analyse, is_usable, result_of, spec_of, view_of
from holdfast.adapters.reports.figures import Analysis, PeriodTest
from holdfast.adapters.reports.html import report_html
from holdfast.adapters.reports.looks import Looks
from holdfast.adapters.reports.words import lead
from holdfast.domain.campaign import TestVerdict
from holdfast.domain.errors import HoldfastError, UnknownName
from holdfast.domain.view import RunView
from holdfast.i18n import speaking
from holdfast.ports.campaigns import CampaignLog, KeptCampaign
from holdfast.ports.load import KeptTest, LoadLog
from holdfast.ports.reports import CampaignReport
from holdfast.slo.status import Moment

IncidentView = Callable[[str], Awaitable[RunView | None]]
"""Returns the view of an incident's run; None, or a `HoldfastError`, where it is not to be had any more."""

_PAGE: Final = 2000  # looks; those of a month at once would be gigabytes
_FORMER: Final = 5
_LISTED: Final = 20
_INSTANT: Final = timedelta(microseconds=1)


class CampaignReports:
    """Makes reports; see `holdfast.ports.reports.Reports`.

    Args:
        campaigns, load: the store.
        incident: looks an incident's run up, for who acknowledged it; without it that is "not measured".
        now: the clock.
    """

    def __init__(
        self,
        campaigns: CampaignLog,
        load: LoadLog,
        *,
        incident: IncidentView | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._campaigns = campaigns
        self._load = load
        self._incident = incident
        self._now = now

    async def build(self, run: str, *, language: str = "en") -> CampaignReport:
        """Make the report on one run of a campaign; errors as the port says."""
        material = await self.material(run)
        return await asyncio.to_thread(_made, material, language)

    async def material(self, run: str) -> Material:
        """Read everything that an analysis needs; errors likewise."""
        kept = await self._campaigns.campaign(run)
        if kept is None:
            known = await self._campaigns.campaigns(limit=_LISTED)
            raise UnknownName("kept campaign", run, [each.run for each in known])
        return Material(
            campaign=kept,
            looks=await self._looks(kept),
            made_at=self._now(),
            tests=await self._tests(kept),
            period_tests=await self._period_tests(kept),
            former=await self._former(kept),
            incidents=await self._incidents(kept),
        )

    async def _looks(self, kept: KeptCampaign) -> Looks:
        """Read the looks of the window, part by part."""
        looks, since = Looks(), kept.opens
        while True:
            part = await self._campaigns.moments(kept.run, since=since, limit=_PAGE)
            within = [moment for moment in part if moment.at <= kept.closes]
            await asyncio.to_thread(_add, looks, within)
            if len(part) < _PAGE or len(within) < len(part):
                return looks
            since = part[-1].at + _INSTANT

    async def _tests(self, kept: KeptCampaign) -> list[KeptTest]:
        """Read the tests that came before the window's end, and after the former campaign of this name."""
        listed = await self._load.tests(kept.campaign)
        view = view_of(kept)
        of_run = {line.run for line in view.campaign.tests} if view and view.campaign else set[str]()
        spec = spec_of(kept)
        schedule = spec.load_test.schedule if spec else None
        begins = kept.opens - (schedule.begins if schedule else timedelta(days=14))
        tests = [test for test in listed if test.run in of_run or begins <= test.at <= kept.closes]
        newest = next((test for test in tests if is_usable(test)), None)
        whole = await self._load.test(newest.run) if newest else None
        return [whole if whole and test.run == whole.run else test for test in tests]

    async def _period_tests(self, kept: KeptCampaign) -> list[PeriodTest]:
        """Read which tests of this campaign's load count in the budgets of the SLOs' period."""
        spec = spec_of(kept)
        periods = (
            [slo.period for context in spec.contexts.values() for slo in context.slos.values()] if spec else []
        )
        if spec is None or not periods:
            return []
        listed = [*await self._load.tests(kept.campaign), *await self._load.tests("")]
        begins = kept.closes - max(periods)
        made = {
            test.run: test
            for test in listed
            if begins <= test.at <= kept.closes
            and test.line.verdict is not TestVerdict.SKIPPED
            and (test.campaign == kept.campaign or test.runbook == spec.load_test.runbook)
        }
        return [await self._period_test(test) for test in made.values()]

    async def _period_test(self, test: KeptTest) -> PeriodTest:
        whole = await self._load.test(test.run)
        requests = await asyncio.to_thread(_requests, whole) if whole else None
        return PeriodTest(run=test.run, at=test.at, requests=requests)

    async def _former(self, kept: KeptCampaign) -> list[KeptCampaign]:
        """Read the newest earlier campaigns of the same name, then those of the same client."""
        same = await self._campaigns.campaigns(kept.campaign, limit=_LISTED)
        others = await self._campaigns.campaigns(limit=5 * _LISTED) if kept.client else []
        of_client = [each for each in others if each.client == kept.client]
        earlier = {each.run: each for each in (*same, *of_client) if each.opens < kept.opens}
        read = [await self._campaigns.campaign(run) for run in list(earlier)[:_FORMER]]
        return [each for each in read if each is not None]

    async def _incidents(self, kept: KeptCampaign) -> dict[str, RunView]:
        view = view_of(kept)
        if self._incident is None or view is None or view.campaign is None:
            return {}
        found: dict[str, RunView] = {}
        for run in dict.fromkeys(breach.incident for breach in view.campaign.breaches if breach.incident):
            try:
                incident = await self._incident(run)
            except HoldfastError:
                continue  # its run is gone, or nobody answers: the report says "not measured"
            if incident is not None:
                found[run] = incident
        return found


async def build_report(
    run: str,
    *,
    campaigns: CampaignLog,
    load: LoadLog,
    incident: IncidentView | None = None,
    language: str = "en",
    now: datetime | None = None,
) -> CampaignReport:
    """Make the report on one run of a campaign; see `CampaignReports`."""
    made_at = now or datetime.now(UTC)
    reports = CampaignReports(campaigns, load, incident=incident, now=lambda: made_at)
    return await reports.build(run, language=language)


def _requests(test: KeptTest) -> int | None:
    """Return how many requests a test has sent."""
    result = result_of(test)
    every = result.of("*", "all") if result else None
    return every.sent if every else None


def _add(looks: Looks, moments: Sequence[Moment]) -> None:
    for moment in moments:
        looks.add(moment)


def _made(material: Material, language: str) -> CampaignReport:
    return report_of(analyse(material), language)


def report_of(analysis: Analysis, language: str = "en") -> CampaignReport:
    """Write a finished analysis down in a language."""
    with speaking(language):
        return CampaignReport(
            run=analysis.run,
            campaign=analysis.campaign,
            title=analysis.title,
            language=language,
            summary=lead(analysis),
            html=report_html(analysis),
            png=campaign_chart(analysis),
            analysis=analysis.model_dump(mode="json"),
        )
