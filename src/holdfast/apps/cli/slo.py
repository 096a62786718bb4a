"""`holdfast slo`: rules from a campaign's file, how its SLOs stand, and the arithmetic behind them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.output import Output, complain
from holdfast.apps.cli.parameters import AsJson
from holdfast.apps.cli.slo_asking import Look, Watcher
from holdfast.apps.cli.slo_files import check_files, write_files
from holdfast.apps.cli.slo_views import explained, explanation, status_views
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.metrics import MetricsSource
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.loader import LoadedRunbook, load_campaign
from holdfast.slo.burn import can_fire
from holdfast.slo.evaluate import silence
from holdfast.slo.rules import RuleSource
from holdfast.slo.status import Level

_EXAMPLES: Final = """\
Examples:
  holdfast slo rules autumn-sale --output deploy/prometheus --check
  holdfast slo status autumn-sale
  holdfast slo explain autumn-sale

docs/slos.md says what is computed, and where it comes from."""

_RULES_EXAMPLES: Final = """\
Examples:
  holdfast slo rules autumn-sale
  holdfast slo rules runbooks/campaign/autumn-sale.yaml --output /etc/prometheus --receiver oncall
  holdfast slo rules autumn-sale --check

It writes NAME.rules.yaml for Prometheus, NAME.alertmanager.yaml for Alertmanager, and NAME.tests.yaml,
unit tests of the rules for promtool.

Exit codes:
  0  written; with --check: promtool (and amtool, where it is) found nothing
  1  --check: something was found, or promtool is not there
  2  wrong input"""

_STATUS_EXAMPLES: Final = """\
Examples:
  holdfast slo status autumn-sale
  holdfast slo status autumn-sale --watch
  holdfast slo status autumn-sale --json | jq -r '.slos[] | select(.level == "breach").said'

Prometheus is asked; rules need not be installed there.

Exit codes:
  0  nothing is in breach
  1  an SLO is in breach
  2  wrong input
  3  Prometheus does not answer"""

_EXPLAIN_EXAMPLES: Final = """\
Examples:
  holdfast slo explain autumn-sale
  holdfast slo explain autumn-sale --events 250000
  holdfast slo explain autumn-sale --json | jq '.[].alerts[].edge_percent'

Nothing is asked: it is the arithmetic of the file."""

_FILE_ENDINGS: Final = frozenset({".yaml", ".yml"})

Campaign = Annotated[str, Parameter(help="A campaign's name, or its file.")]


@dataclass(frozen=True)
class SloDeps:
    """What these commands work with; called only when needed.

    Attributes:
        library: the reviewed campaigns on this machine.
        metrics: the metrics backend; entered once a command.
        sleep: waits for so many seconds between two looks.
    """

    library: Callable[[], RunbookLibrary]
    metrics: Callable[[], AbstractAsyncContextManager[MetricsSource]]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


def add_slo(app: App, deps: SloDeps, *, group: str | None = None) -> None:
    """Add `holdfast slo` and its commands to one of the groups that the app has."""
    commands = SloCommands(deps)
    slo = App(name="slo", help="Service levels of a campaign.", group=group, help_epilogue=_EXAMPLES)
    slo.command(commands.rules, help_epilogue=_RULES_EXAMPLES)
    slo.command(commands.status, help_epilogue=_STATUS_EXAMPLES)
    slo.command(commands.explain, help_epilogue=_EXPLAIN_EXAMPLES)
    app.command(slo)


class SloCommands:
    """Looking at what is promised."""

    def __init__(self, deps: SloDeps) -> None:
        """Work with these."""
        self._deps = deps

    async def rules(
        self,
        campaign: Campaign,
        /,
        *,
        output: Annotated[Path, Parameter(help="Directory to write to.")] = Path(),
        receiver: Annotated[str, Parameter(help="Alertmanager receiver that gets the alerts.")] = "holdfast",
        check: Annotated[
            bool, Parameter(help="Let promtool and amtool check what was written.", show_default=False)
        ] = False,
    ) -> Exit:
        """Write Prometheus rules, an Alertmanager route, and unit tests of the rules."""
        if not receiver.strip():
            raise InvalidInput("--receiver: name a receiver of your Alertmanager")
        source, out = _rule_source(_loaded(self._deps.library(), campaign)), Output()
        for warning in _never_fire(source):
            complain(warning)
        files = write_files(source, output, receiver=receiver.strip())
        for path in files.all:
            out.say(f"wrote {path}")
        return Exit.DONE if not check or await check_files(files, out) else Exit.OTHERWISE

    async def status(
        self,
        campaign: Campaign,
        /,
        *,
        watch: Annotated[
            bool, Parameter(help="Look again at the campaign's interval, until Ctrl-C.", show_default=False)
        ] = False,
        as_json: AsJson = False,
    ) -> Exit:
        """Show how each context stands: SLIs, budgets, burn rates, KPIs; asks Prometheus."""
        spec, out = _loaded(self._deps.library(), campaign).spec, Output(as_json=as_json)
        async with self._deps.metrics() as metrics:
            watcher = Watcher(spec, metrics)
            if not watch:
                return _shown(spec, await watcher.look(datetime.now(UTC)), out)
            while True:
                _shown(spec, await _look_or_silence(spec, watcher), out)
                await self._deps.sleep(spec.watch.interval.total_seconds())

    def explain(
        self,
        campaign: Campaign,
        /,
        *,
        events: Annotated[int, Parameter(help="How many events a period is taken to have.")] = 1_000_000,
        as_json: AsJson = False,
    ) -> None:
        """Explain each SLO: its budget in events and minutes, each alert's edge, how soon an outage is told."""
        if events < 1:
            raise InvalidInput("--events: at least 1")
        spec, out = _loaded(self._deps.library(), campaign).spec, Output(as_json=as_json)
        found = list(explained(spec, events))
        out.document([one.document() for one in found])
        if not as_json:
            for one in found:
                for part in explanation(one, spec.watch.interval):
                    out.show(part)


def _loaded(library: RunbookLibrary, campaign: str) -> LoadedRunbook[CampaignSpec]:
    path = Path(campaign)
    is_file = path.suffix in _FILE_ENDINGS or len(path.parts) > 1
    return load_campaign(path) if is_file else library.campaign(campaign)


def _rule_source(loaded: LoadedRunbook[CampaignSpec]) -> RuleSource:
    spec = loaded.spec
    return RuleSource(
        campaign=spec.name,
        contexts=spec.contexts,
        interval=spec.watch.interval,
        file=loaded.path.name,
        digest=loaded.digest,
        breach_after=spec.watch.breach_after,
        recover_after=spec.watch.recover_after,
    )


def _never_fire(source: RuleSource) -> list[str]:
    """Say which alerts cannot fire, because their edge is above a total outage."""
    return [
        f"contexts.{one.context}.slos.{one.name}.alerts.{number}: never fires, even when everything fails: "
        f"{one.slo.objective_percent:g} % allows too much for this edge; lower budget_percent or widen 'long'"
        for one in source.promises()
        for number, alert in enumerate(one.slo.alerts)
        if not can_fire(one.slo, alert)
    ]


async def _look_or_silence(spec: CampaignSpec, watcher: Watcher) -> Look:
    at = datetime.now(UTC)
    try:
        return await watcher.look(at)
    except Unavailable as error:
        return Look(silence(spec.contexts, at, str(error)))


def _shown(spec: CampaignSpec, look: Look, out: Output) -> Exit:
    moment = look.moment
    for trouble in look.troubles:
        complain(trouble)
    out.document(moment.model_dump(mode="json"))
    if not out.as_json:
        for part in status_views(spec, moment):
            out.show(part)
    breach = any(status.level is Level.BREACH for status in moment.slos)
    return Exit.OTHERWISE if breach else Exit.DONE
