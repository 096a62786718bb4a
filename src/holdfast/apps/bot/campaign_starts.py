"""What of a start is particular to campaigns and to load tests."""

from collections.abc import Sequence

from holdfast.apps.bot import campaign_start_texts as texts
from holdfast.apps.bot import start_texts
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.startable import Draft, Field
from holdfast.apps.bot.texts import fill, first_lines, say
from holdfast.apps.bot.times import shown
from holdfast.domain.errors import DecisionRefused, InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.strict import Strict
from holdfast.i18n.times import span
from holdfast.ports.runs import CampaignRequest, LoadRequest
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.kinds.load import LoadSpec

_STEPS_LENGTH = 1600  # beside a summary of up to 1000 characters


class _ByName:
    """What is started by its name alone."""

    fields: tuple[Field, ...] = ()

    def read(self, typed: str, draft: Draft, names: Sequence[str]) -> Draft:
        """Read `[runbook]`; phones like to begin words with a capital."""
        words = typed.lower().split()
        if len(words) > 1:
            raise InvalidInput(say(texts.ONE_TOO_MANY, word=words[1]))
        named = words[0] if words else names[0] if len(names) == 1 else ""
        return draft.model_copy(update={"runbook": named, "step_by_step": not named})

    def completed(self, draft: Draft) -> Draft:
        """Leave the rest to the file."""
        return draft


class CampaignStarts(_ByName):
    """Starts campaigns; see `holdfast.apps.bot.startable.Startable`."""

    kind = "campaign"
    start_button = texts.CAMPAIGN_BUTTON

    def __init__(self, services: Services) -> None:
        self._services = services

    def check(self, person: Person, draft: Draft, spec: Strict) -> None:
        """Return when this person may start it."""
        _ = draft
        _may_start(person, _campaign(spec).starters)

    async def preview(self, person: Person, draft: Draft, spec: Strict) -> str:
        """Show the window, the load test that has to be passed, and who is asked for what."""
        _ = draft
        campaign, zone = _campaign(spec), person.zone
        peak, roles = campaign.load_test.peak, campaign.response.roles.values()
        lines = [
            fill(texts.CAMPAIGN_PREVIEW, title=campaign.title, summary=campaign.summary, name=campaign.name),
            "",
            fill(
                texts.CAMPAIGN_WINDOW,
                client=campaign.client.title,
                opens=shown(campaign.opens, zone),
                closes=shown(campaign.closes, zone),
            ),
            fill(
                texts.CAMPAIGN_TEST,
                highest=f"{peak.highest:g}",
                peak=f"{peak.expected_peak:g}",
                factor=f"{peak.safety_factor:g}",
            ),
            fill(
                texts.CAMPAIGN_SIGN_OFF,
                approvers=campaign.sign_off.describe(),
                before=span(campaign.sign_off_before),
            ),
            fill(texts.CAMPAIGN_ROLES, names=", ".join(role.candidates[0] for role in roles)),
            first_lines(self.steps(spec), length=_STEPS_LENGTH),
            fill(texts.CAMPAIGN_RULES),
        ]
        return "\n".join(lines)

    async def start(self, person: Person, draft: Draft, *, run: str) -> bool:
        """Start it; False when the run was there already."""
        request = CampaignRequest(runbook=draft.runbook, requested_by=person.name)
        return await self._services.runs.start_campaign(request, run_id=run)

    def may_start(self, spec: Strict) -> tuple[str, ...]:
        """Return the roles and names of those who may start it."""
        return _campaign(spec).starters

    def steps(self, spec: Strict) -> list[str]:
        """Return what is promised, one a line."""
        return [
            fill(texts.PROMISE, title=context.title, promise=slo.promise)
            for context in _campaign(spec).contexts.values()
            for slo in context.slos.values()
        ]


class LoadStarts(_ByName):
    """Starts load tests; see `holdfast.apps.bot.startable.Startable`."""

    kind = "load"
    start_button = texts.LOAD_BUTTON

    def __init__(self, services: Services) -> None:
        self._services = services

    def check(self, person: Person, draft: Draft, spec: Strict) -> None:
        """Return when this person may start it."""
        _ = draft
        _may_start(person, _load(spec).starters)

    async def preview(self, person: Person, draft: Draft, spec: Strict) -> str:
        """Show how much load is made for how long, and against what."""
        _ = person, draft
        load = _load(spec)
        hosts = ", ".join(sorted({str(target.url.host) for target in load.targets.values()}))
        highest = max(phase.rate for phase in load.all_phases)
        lines = [
            fill(texts.LOAD_PREVIEW, title=load.title, summary=load.summary, name=load.name),
            "",
            fill(texts.LOAD_PHASES, highest=f"{highest:g}", lasts=span(load.lasts), hosts=hosts),
            first_lines(self.steps(spec), length=_STEPS_LENGTH),
            fill(texts.LOAD_RULES),
        ]
        return "\n".join(lines)

    async def start(self, person: Person, draft: Draft, *, run: str) -> bool:
        """Start it; False when the run was there already."""
        request = LoadRequest(runbook=draft.runbook, requested_by=person.name)
        return await self._services.runs.start_load(request, run_id=run)

    def may_start(self, spec: Strict) -> tuple[str, ...]:
        """Return the roles and names of those who may start it."""
        return _load(spec).starters

    def steps(self, spec: Strict) -> list[str]:
        """Return the phases, one a line."""
        return [
            fill(texts.PHASE, title=phase.name or str(number), rate=f"{phase.rate:g}", lasts=span(phase.lasts))
            for number, phase in enumerate(_load(spec).all_phases, start=1)
        ]


def _may_start(person: Person, starters: tuple[str, ...]) -> None:
    if not person.belongs_to(starters):
        names = ", ".join(starters)
        raise DecisionRefused("not_a_starter", say(texts.NOT_A_STARTER, person=person.title, names=names))


def _campaign(spec: Strict) -> CampaignSpec:
    if not isinstance(spec, CampaignSpec):
        raise InvalidInput(say(start_texts.OTHER_KIND, name=str(getattr(spec, "name", "")), kind="campaign"))
    return spec


def _load(spec: Strict) -> LoadSpec:
    if not isinstance(spec, LoadSpec):
        raise InvalidInput(say(start_texts.OTHER_KIND, name=str(getattr(spec, "name", "")), kind="load"))
    return spec
