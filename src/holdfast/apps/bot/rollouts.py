"""What of a start is particular to rollouts."""

from collections.abc import Sequence

from holdfast.apps.bot import start_texts as texts
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.startable import Draft, Field
from holdfast.apps.bot.texts import fill, first_lines, say
from holdfast.domain.errors import InvalidInput, Unavailable, UnknownName
from holdfast.domain.people import Person
from holdfast.domain.strict import Strict
from holdfast.i18n import understood
from holdfast.ports.runs import RolloutRequest
from holdfast.runbook.kinds.changes import AlembicChange
from holdfast.runbook.kinds.rollout import RolloutSpec, Stage
from holdfast.runbook.plan import systems_of_all

_STAGES_LENGTH = 1800  # beside a summary of up to 1000 characters


class RolloutStarts:
    """Starts rollouts; see `holdfast.apps.bot.startable.Startable`."""

    kind = "rollout"
    start_button = texts.START_BUTTON

    def __init__(self, services: Services) -> None:
        self._services = services
        self.fields = (
            Field(name="pace", question=texts.ASK_PACE, other=texts.OTHER_PACE, choices=self._paces),
        )

    def read(self, typed: str, draft: Draft, names: Sequence[str]) -> Draft:
        """Read `[runbook] [pace=NAME]` in any order; phones like to begin words with a capital."""
        found: dict[str, str] = {}
        for word in typed.lower().split():
            name, equals, value = word.partition("=")
            field = name if equals else "runbook"
            if field not in {"runbook", "pace"} or field in found:
                raise InvalidInput(say(texts.WRONG_ARGUMENTS, word=word))
            found[field] = value if equals else word
        alone = self._services.default_runbook or (names[0] if len(names) == 1 else "")
        return draft.model_copy(update={"runbook": alone, "step_by_step": not (found or alone), **found})

    def completed(self, draft: Draft) -> Draft:
        """Take the usual pace."""
        return draft.model_copy(update={"pace": draft.pace or self._services.default_pace})

    def check(self, person: Person, draft: Draft, spec: Strict) -> None:
        """Return when this person may start it at that pace."""
        known = _rollout(spec).paces
        if draft.pace and draft.pace not in known:
            raise UnknownName("pace", draft.pace, known)
        self._services.may_start(person, draft.runbook)

    async def preview(self, person: Person, draft: Draft, spec: Strict) -> str:
        """Show the stages with their shares and sign-offs."""
        _ = person
        rollout = _rollout(spec)
        stages = first_lines(self.steps(spec), length=_STAGES_LENGTH)
        others = [p for p in rollout.paces if p != draft.pace]
        pace = fill(texts.PACE_OTHERS if others else texts.PACE, pace=draft.pace, others=", ".join(others))
        head = fill(texts.ROLLOUT_PREVIEW, title=rollout.title, summary=rollout.summary, name=rollout.name)
        warned = "".join(f"\n{line}" for line in await self._freezes(rollout))
        return f"{head}\n\n{stages}\n\n{fill(texts.ROLLOUT_RULES)}\n{pace}{warned}"

    async def start(self, person: Person, draft: Draft, *, run: str) -> bool:
        """Start it; False when the run was there already."""
        request = RolloutRequest(runbook=draft.runbook, requested_by=person.name, pace=draft.pace)
        return await self._services.runs.start(request, run_id=run)

    def may_start(self, spec: Strict) -> tuple[str, ...]:
        """Return the roles and names of those who may start it."""
        return _rollout(spec).starters

    def steps(self, spec: Strict) -> list[str]:
        """Return the stages, one a line."""
        return [
            fill(
                texts.STAGE,
                number=number,
                title=stage.title,
                shares=_shares(stage),
                approvers=stage.gate.describe(),
            )
            for number, stage in enumerate(_rollout(spec).stages, start=1)
        ]

    async def _freezes(self, spec: RolloutSpec) -> list[str]:
        """Warn of what is frozen; where that is not known now, the run itself looks."""
        holds = self._services.holds
        if holds is None or spec.fix:
            return []
        try:
            frozen = await holds.frozen(systems_of_all(spec))
        except Unavailable:
            return []
        return [fill(texts.FROZEN, why=understood(freeze.describe_freeze())) for freeze in frozen[:1]]

    def _paces(self, draft: Draft) -> Sequence[str]:
        return list(self._services.library.rollout(draft.runbook).spec.paces)


def _rollout(spec: Strict) -> RolloutSpec:
    if not isinstance(spec, RolloutSpec):
        raise InvalidInput(say(texts.OTHER_KIND, name=str(getattr(spec, "name", "")), kind="rollout"))
    return spec


def _shares(stage: Stage) -> str:
    shares = " → ".join(map(str, stage.shares_percent))
    lasting = any(isinstance(c, AlembicChange) and c.point_of_no_return for c in stage.all_changes)
    if not shares:
        return say(texts.EVERYBODY_NO_RETURN if lasting else texts.EVERYBODY)
    return say(texts.SHARES_NO_RETURN if lasting else texts.SHARES, shares=shares)
