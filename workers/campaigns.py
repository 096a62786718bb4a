"""Puts together what campaigns need beyond their runs: the report, and the commands that look back."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from activities.campaigns import AnalysisRequest, CampaignActivities
from holdfast.domain.errors import HoldfastError, InvalidInput
from holdfast.domain.view import RunView
from holdfast.ports.announcer import Announcer
from holdfast.ports.inventory import Inventory, InventoryTaking
from holdfast.ports.metrics import MetricsSource
from holdfast.ports.reports import Reports
from holdfast.ports.runs import RunControl
from holdfast.runbook.campaigns import CampaignPlan
from workers import wiring
from workers.planning import lent_metrics
from workers.settings import Settings

if TYPE_CHECKING:
    from holdfast.adapters.sql_store import SqlStore

log = structlog.get_logger()
_CAPTION: Final = 900


def campaign_activities(
    settings: Settings, store: "SqlStore", runs: RunControl, announcer: Announcer | None
) -> CampaignActivities:
    """Return the activities that read and keep what outlives a campaign's run."""
    analysis = _Analysis(settings, store, runs, announcer)
    return CampaignActivities(
        wiring.library(settings), store.duty, store.load_log, store.campaigns, analyse=analysis.make
    )


@asynccontextmanager
async def reports(
    lend: Callable[[], "AbstractAsyncContextManager[SqlStore]"], runs: RunControl
) -> AsyncGenerator[Reports]:
    """Lend what makes reports from the store."""
    async with lend() as store:
        yield _reports(store, runs)


@asynccontextmanager
async def inventory(settings: Settings) -> AsyncGenerator[InventoryTaking]:
    """Lend what takes inventories."""
    async with lent_metrics(settings) as metrics:
        yield _taking(metrics, settings.message_logs)


class _Analysis:
    """Makes the report at a campaign's end: the inventory first, then the file, then the picture for chats."""

    def __init__(
        self, settings: Settings, store: "SqlStore", runs: RunControl, announcer: Announcer | None
    ) -> None:
        self._settings, self._store = settings, store
        self._reports = _reports(store, runs)
        self._announcer = announcer

    async def make(self, request: AnalysisRequest) -> str:
        """Make and show the report; return where people find it."""
        await self._take_inventory(request)
        report = await self._reports.build(request.view.run_id, language=self._settings.language)
        path = self._settings.state_dir / "reports" / f"{request.view.run_id}.html"
        await asyncio.to_thread(_written, path, report.html)
        await self._show(request, report.png, report.summary)
        if self._settings.web_url:
            return f"{self._settings.web_url.rstrip('/')}/reports/{request.view.run_id}"
        return f"holdfast report {request.view.run_id} --html report.html"

    async def _take_inventory(self, request: AnalysisRequest) -> None:
        """Keep which messages the contexts exchanged; without it the report says that it was not measured."""
        plan = request.plan
        kept = await self._store.campaigns.campaign(request.view.run_id)
        if not plan.spec.messages or kept is None:
            return
        try:
            async with inventory(self._settings) as taking:
                taken = await _taken(taking, plan)
        except HoldfastError as error:
            log.warning("no message inventory", run_id=request.view.run_id, reason=str(error))
            return
        lines = [line.model_dump(mode="json") for line in taken.lines]
        await self._store.campaigns.keep(kept.model_copy(update={"inventory": lines}))

    async def _show(self, request: AnalysisRequest, png: bytes, summary: list[str]) -> None:
        """Send the picture to the team and, in the client's language, to the client."""
        if self._announcer is None:
            return
        run, client = request.view.run_id, request.plan.spec.client
        if self._settings.telegram_chat is not None:
            await self._announce(self._settings.telegram_chat, summary, key=f"report/{run}/team", picture=png)
        if client.telegram_chat is not None:
            theirs = await self._reports.build(run, language=client.language)
            await self._announce(
                client.telegram_chat, theirs.summary, key=f"report/{run}/client", picture=theirs.png
            )

    async def _announce(self, chat: int, summary: list[str], *, key: str, picture: bytes) -> None:
        """Send one picture; a chat that does not take it costs neither the report nor the other chat."""
        if self._announcer is None:
            return
        try:
            await self._announcer.announce(chat, " ".join(summary)[:_CAPTION], key=key, picture=picture)
        except HoldfastError as error:
            log.warning("the report was not shown", key=key, reason=str(error))


async def _taken(taking: InventoryTaking, plan: CampaignPlan) -> Inventory:
    """Take it from metrics and logs, from the metrics alone where a log cannot be read."""
    messages, since, until = plan.spec.messages, plan.opens, plan.closes
    try:
        return await taking.take(messages, since=since, until=until)
    except InvalidInput as error:
        log.warning("no message inventory from the logs", campaign=plan.spec.name, reason=str(error))
        return await taking.take(messages, since=since, until=until, logs=())


def _reports(store: "SqlStore", runs: RunControl) -> Reports:
    # By name, because plots load Matplotlib, which takes a second that no start should have.
    from holdfast.adapters.reports import CampaignReports  # noqa: PLC0415

    async def incident(run: str) -> RunView | None:
        return await runs.view(run)

    return CampaignReports(store.campaigns, store.load_log, incident=incident)


def _taking(metrics: MetricsSource, patterns: Sequence[str]) -> InventoryTaking:
    from holdfast.adapters.json_logs import JsonLogs  # noqa: PLC0415  as above
    from holdfast.adapters.reports.inventory import MessageInventory  # noqa: PLC0415  as above

    return MessageInventory(metrics, JsonLogs(), always=lambda: _found(patterns))


def _found(patterns: Sequence[str]) -> list[Path]:
    """Return the files that are there; a log that is rotated away since is nothing to fail for."""
    named = (sorted(glob(pattern, recursive=True)) for pattern in patterns)  # noqa: PTH207  they may be absolute
    return [Path(name) for names in named for name in names]


def _written(path: Path, html: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
