"""`holdfast report`: the analysis of a campaign, made again from the store alone."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AsJson
from holdfast.apps.cli.tables import table
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.ports.campaigns import CampaignLog, KeptCampaign
from holdfast.ports.reports import CampaignReport, Reports

_EXAMPLES: Final = """\
Examples:
  holdfast report                                   which campaigns are kept
  holdfast report autumn-sale                       the newest one of this name, in a few sentences
  holdfast report campaign-4f7qk2mz --html sale.html --png sale.png
  holdfast report autumn-sale --language ru --html sale.html
  holdfast report autumn-sale --json | jq '.analysis.slos[] | {slo, sli_percent}'

It needs the store only: neither the Temporal server nor the metrics.
docs/reports.md says what each figure means."""

_LISTED: Final = 20


@dataclass(frozen=True)
class ReportDeps:
    """What the command works with; each is entered once a command.

    Attributes:
        campaigns: lends what is kept of campaigns.
        reports: lends what makes reports.
    """

    campaigns: Callable[[], AbstractAsyncContextManager[CampaignLog]]
    reports: Callable[[], AbstractAsyncContextManager[Reports]]


def add_report(app: App, deps: ReportDeps) -> None:
    """Add `holdfast report`."""
    app.command(ReportCommands(deps).report, group="Campaigns", help_epilogue=_EXAMPLES)


class ReportCommands:
    """Looking back at campaigns."""

    def __init__(self, deps: ReportDeps) -> None:
        """Work with these."""
        self._deps = deps

    async def report(
        self,
        which: Annotated[
            str,
            Parameter(
                name="campaign-or-run",
                help="Name of the campaign, for its newest run, or a run's id; without it all are listed.",
                show_default=False,
            ),
        ] = "",
        /,
        *,
        html: Annotated[
            Path | None, Parameter(help="Write the report as one HTML file.", show_default=False)
        ] = None,
        png: Annotated[Path | None, Parameter(help="Write a picture for a chat.", show_default=False)] = None,
        language: Annotated[Literal["en", "ru"], Parameter(help="Of the report.")] = "en",
        as_json: AsJson = False,
    ) -> None:
        """Analyse a campaign: service levels, load against the plan, incidents, waiting times, what to tune."""
        out = Output(as_json=as_json)
        if not which:
            if html or png:
                raise InvalidInput("campaign-or-run: say which; `holdfast report` lists those that are kept")
            await self._list(out)
            return
        _check("--html", html, ".html")
        _check("--png", png, ".png")
        run = await self._run(which)
        async with self._deps.reports() as reports:
            made = await reports.build(run, language=language)
        out.document(made.model_dump(mode="json", exclude={"html", "png"}))
        if not as_json:
            _tell(made, out)
        if html:
            _write("--html", html, made.html.encode(), out)
        if png:
            _write("--png", png, made.png, out)

    async def _list(self, out: Output) -> None:
        async with self._deps.campaigns() as log:
            kept = await log.campaigns(limit=_LISTED)
        shown = [
            each.model_dump(mode="json", include={"run", "campaign", "client", "opens", "closes"})
            for each in kept
        ]
        out.document({"campaigns": shown})
        if out.as_json:
            return
        if not kept:
            out.say("No campaign is kept. A campaign is kept from its start on.")
            return
        out.show(table(("run", "campaign", "client", "window", "state"), map(_row, kept)))

    async def _run(self, which: str) -> str:
        """Return the run that is meant: one with this id, or the newest of this name."""
        async with self._deps.campaigns() as log:
            if await log.campaign(which):
                return which
            named = await log.campaigns(which, limit=1)
            if named:
                return named[0].run
            known = await log.campaigns(limit=_LISTED)
        raise UnknownName("kept campaign or run", which, {name for k in known for name in (k.campaign, k.run)})


def _row(kept: KeptCampaign) -> tuple[str, str, str, str, str]:
    now = datetime.now(UTC)
    state = "ahead" if now < kept.opens else "open" if now < kept.closes else "over"
    window = f"{kept.opens:%Y-%m-%d %H:%M} – {kept.closes:%Y-%m-%d %H:%M} UTC"
    return kept.run, kept.campaign, kept.client, window, state


def _tell(made: CampaignReport, out: Output) -> None:
    out.say(f"{made.title} ({made.run})")
    for sentence in made.summary:
        out.say(f"  {sentence}")


def _check(option: str, path: Path | None, ending: str) -> None:
    if path is not None and path.suffix.lower() != ending:
        raise InvalidInput(f"{option}: name the file like {path.with_suffix(ending)}")


def _write(option: str, path: Path, content: bytes, out: Output) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"{option}: {path} cannot be written: {error.strerror}") from None
    out.say(f"Written: {path}")
