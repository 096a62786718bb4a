"""What reads weeks of samples may take its time: nobody who is called waits for it."""

import asyncio
from datetime import datetime

from holdfast.slo.tracker import BreachBegan
from tests.activities.test_window import MINUTE, START, request, watched
from tests.workflows.campaign_house import Weather


class Slow(Weather):
    """Metrics that never finish reading a month."""

    asked = 0

    async def instant(self, query: str, *, at: datetime) -> float | None:
        if query.endswith(":30d"):
            self.asked += 1
            await asyncio.Event().wait()
        return await super().instant(query, at=at)


async def test_a_breach_is_told_while_the_budgets_are_still_being_read() -> None:
    weather = Slow(broken={"support": [(START, START + 9 * MINUTE)]})

    report = await asyncio.wait_for(watched(weather, request()), timeout=30)

    assert weather.asked > 0
    assert [news.context for news in report.news if isinstance(news, BreachBegan)] == ["support"]
    assert report.moment is not None
    assert {status.budget_left_percent for status in report.moment.slos} == {None}


async def test_budgets_that_are_never_read_are_asked_for_once_at_a_time() -> None:
    weather = Slow()

    report = await asyncio.wait_for(watched(weather, request()), timeout=30)

    assert report.back_at == START + 30 * MINUTE
    # Good or bad events and all events of two promises.
    assert weather.asked == 4
