"""`holdfast run campaign` and `holdfast run load`."""

import secrets
from datetime import UTC, datetime
from typing import Annotated, Final

from cyclopts import App, Parameter

from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.follow import to_the_end
from holdfast.apps.cli.load_live import shown_beside
from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AsJson, AsPerson, Wait
from holdfast.domain.errors import InvalidInput
from holdfast.domain.ids import run_id as new_run_id
from holdfast.domain.view import RunState
from holdfast.ports.runs import CampaignRequest, LoadRequest
from holdfast.runbook.campaigns import plan_campaign
from holdfast.runbook.load_plan import plan_load

CAMPAIGN_EXAMPLES: Final = """\
Examples:
  holdfast run campaign autumn-sale --as boris
  holdfast run campaign autumn-sale --as boris --opens 2026-12-11T10:00+03:00 --closes 2026-12-14T10:00+03:00

Roles are asked for at once, the sign-off before the window, the report is made after it. Load tests by
schedule: holdfast schedule apply autumn-sale"""

LOAD_EXAMPLES: Final = """\
Examples:
  holdfast run load customer-journeys --as boris --wait
  holdfast run load customer-journeys --as boris --campaign autumn-sale

It runs on the load workers; `holdfast load run` makes the load on this machine, without Temporal.
With --wait each second of the test is shown, as `holdfast load watch` shows it, and the exit code is 0 when the
test has passed."""


class CampaignRuns:
    """Starting campaigns and load tests."""

    def __init__(self, deps: CliDeps) -> None:
        self._deps = deps

    async def campaign(
        self,
        name: Annotated[str, Parameter(help="The campaign, as `holdfast runbooks` lists it.")],
        /,
        *,
        person: AsPerson,
        opens: Annotated[datetime | None, Parameter(help="In place of the file's, with an offset.")] = None,
        closes: Annotated[datetime | None, Parameter(help="In place of the file's, with an offset.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Start a campaign: load tests, sign-off, the watched window, the report.

        The file, the person and the window are checked here before anything is started.
        """
        out = Output(as_json=as_json)
        request = CampaignRequest(
            runbook=name,
            requested_by=person.strip().lower(),
            opens=_aware("--opens", opens),
            closes=_aware("--closes", closes),
        )
        plan = plan_campaign(self._deps.library(), request)
        run = new_run_id("campaign", secrets.token_hex(16))
        async with self._deps.run_control() as control:
            await control.start_campaign(request, run_id=run)
        out.document({"run_id": run, "ui_url": self._deps.ui_url(run), **request.model_dump(mode="json")})
        out.say(f"Started {run}: {plan.spec.title}, for {plan.spec.client.title}")
        out.say(f"Follow it: {self._deps.ui_url(run)}")
        out.say(
            f"The window: {plan.opens:%Y-%m-%d %H:%M %Z} to {plan.closes:%Y-%m-%d %H:%M %Z}. The sign-off "
            f"({plan.spec.sign_off.describe()}) is asked for on "
            f"{plan.opens - plan.spec.sign_off_before:%Y-%m-%d %H:%M %Z}."
        )
        out.say(f"To see how it stands: holdfast show {run}")

    async def load(
        self,
        name: Annotated[str, Parameter(help="The load test, as `holdfast runbooks` lists it.")],
        /,
        *,
        person: AsPerson,
        campaign: Annotated[str, Parameter(help="Test for this campaign, up to its peak.")] = "",
        wait: Wait = False,
        as_json: AsJson = False,
    ) -> Exit:
        """Start a load test on the load workers.

        The file, the person and a campaign's peak are checked here before anything is started.
        """
        out = Output(as_json=as_json)
        request = LoadRequest(runbook=name, requested_by=person.strip().lower(), campaign=campaign)
        plan = plan_load(self._deps.library(), request, now=datetime.now(UTC))
        run = new_run_id("load", secrets.token_hex(16))
        code = Exit.DONE
        async with self._deps.run_control() as control:
            await control.start_load(request, run_id=run)
            out.say(f"Started {run}: {plan.spec.title}, up to {plan.highest:g} sessions a second")
            out.say(f"Follow it: {self._deps.ui_url(run)}")
            out.say(f"To stop it within a second: holdfast stop {run} --as {request.requested_by}")
            document = {"run_id": run, "ui_url": self._deps.ui_url(run), **request.model_dump(mode="json")}
            if wait:
                async with shown_beside(self._deps.load.watching, run, out):
                    code = await to_the_end(control, run, out, document, wanted=RunState.PASSED)
        out.document(document)
        return code


def add_campaign_runs(run: App, deps: CliDeps) -> None:
    """Add the commands to `holdfast run`."""
    commands = CampaignRuns(deps)
    run.command(commands.campaign, help_epilogue=CAMPAIGN_EXAMPLES)
    run.command(commands.load, help_epilogue=LOAD_EXAMPLES)


def _aware(option: str, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidInput(f"{option}: write the offset from UTC, e.g. {moment:%Y-%m-%dT%H:%M}+03:00")
    return moment
