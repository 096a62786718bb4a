"""What of a start is particular to incidents."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

from holdfast.apps.bot import incident_texts as texts
from holdfast.apps.bot import start_texts
from holdfast.apps.bot.paging import PagedTier, Paging
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.startable import Draft, Field
from holdfast.apps.bot.texts import fill, say
from holdfast.domain.errors import DecisionRefused, InvalidInput, UnknownName
from holdfast.domain.people import Person
from holdfast.domain.strict import Strict
from holdfast.i18n.times import span
from holdfast.ports.runs import IncidentRequest
from holdfast.runbook.kinds.incident import IncidentSpec
from holdfast.runbook.priorities import DEFAULT_PRIORITIES, Tier

_LONGEST_TITLE = 120
_MOST_STEPS = 4
_THOUSANDS = "\N{NO-BREAK SPACE}"  # reads the same in all languages


class IncidentStarts:
    """Opens incidents; see `holdfast.apps.bot.startable.Startable`."""

    kind = "incident"
    start_button = texts.OPEN_BUTTON

    def __init__(self, services: Services) -> None:
        self._services = services
        self._paging = Paging(services)
        self.fields = (
            Field(name="title", question=texts.ASK_WRONG, needed=True),
            Field(name="tier", question=texts.ASK_TIER, other=texts.OTHER_TIER, choices=self._tiers),
        )

    def read(self, typed: str, draft: Draft, names: Sequence[str]) -> Draft:
        """Read `[runbook] what is wrong [tier=…] [value=…]`; the runbook may be left out where there is one."""
        found: dict[str, str] = {}
        words: list[str] = []
        for word in typed.split():
            name, equals, value = word.partition("=")
            if equals and name.lower() in {"tier", "value"}:
                found[name.lower()] = self._spelled(value) if name.lower() == "tier" else value
            else:
                words.append(word)
        if words and words[0].lower() in names:
            found["runbook"] = words.pop(0).lower()
        elif len(names) == 1:
            found["runbook"] = names[0]
        update = {**found, "title": " ".join(words), "step_by_step": not words}
        return draft.model_copy(update=update)

    def completed(self, draft: Draft) -> Draft:
        """Leave the tier to the run, which knows what is usual."""
        return draft

    def check(self, person: Person, draft: Draft, spec: Strict) -> None:
        """Return when this person may open it, and tier and value make sense."""
        tiers = self._tiers(draft)
        if draft.tier and draft.tier not in tiers:
            raise UnknownName("tier", draft.tier, tiers)
        _value(draft)
        if len(draft.title) > _LONGEST_TITLE:
            raise InvalidInput(say(texts.TITLE_LENGTH, most=_LONGEST_TITLE, length=len(draft.title)))
        openers = _incident(spec).openers
        if not person.belongs_to(openers):
            names = ", ".join(openers)
            raise DecisionRefused("not_an_opener", say(texts.NOT_AN_OPENER, person=person.title, names=names))

    async def preview(self, person: Person, draft: Draft, spec: Strict) -> str:
        """Show what is wrong, and who is called when."""
        _ = person
        incident = _incident(spec)
        head = fill(texts.OPEN_PREVIEW, title=draft.title, runbook=incident.title)
        customer = [fill(texts.TIER, tier=draft.tier)] if draft.tier else []
        worth = (
            [fill(texts.VALUE, value=f"{_value(draft):,.0f}".replace(",", _THOUSANDS))] if draft.value else []
        )
        return "\n".join([head, *customer, *worth, "", *await self._called(incident)])

    async def start(self, person: Person, draft: Draft, *, run: str) -> bool:
        """Open it; False when the run was there already."""
        request = IncidentRequest(
            runbook=draft.runbook,
            requested_by=person.name,
            title=draft.title,
            tier=draft.tier,
            value=_value(draft),
        )
        return await self._services.runs.open_incident(request, run_id=run)

    def may_start(self, spec: Strict) -> tuple[str, ...]:
        """Return the roles and names of those who may open it."""
        return _incident(spec).openers

    def steps(self, spec: Strict) -> list[str]:
        """Return what to look at first."""
        return [fill("• {line}", line=line) for line in _incident(spec).checklist]

    def _tiers(self, draft: Draft) -> Sequence[str]:
        _ = draft
        return list(self._known_tiers())

    def _spelled(self, tier: str) -> str:
        """Return the tier as the file writes it."""
        return next((t for t in self._known_tiers() if t.lower() == tier.lower()), tier)

    def _known_tiers(self) -> Mapping[str, Tier]:
        try:
            return self._services.library.priorities().tiers
        except InvalidInput:
            return DEFAULT_PRIORITIES.tiers  # an incident must not wait for a file to be mended

    async def _called(self, incident: IncidentSpec) -> list[str]:
        try:
            tiers = await self._paging.tiers(incident.escalation)
        except InvalidInput as error:
            # An incident must not wait for a file to be mended; the run judges what it can do without.
            return [fill(texts.CALLED_UNKNOWN, reason=str(error).partition("\n")[0])]
        return list(_lines(tiers[:_MOST_STEPS]))


def _lines(tiers: list[PagedTier]) -> Iterator[str]:
    """Yield who is called when; each person where that is first."""
    known: set[str] = set()
    for tier in tiers:
        names = ", ".join(p.title for p in tier.people if p.name not in known)
        known |= {p.name for p in tier.people}
        if not tier.after:
            yield fill(texts.CALLED_FIRST, names=names or say(texts.CALLED_NOBODY))
        elif names:
            yield fill(texts.CALLED_AFTER, names=names, after=span(tier.after))


def _incident(spec: Strict) -> IncidentSpec:
    if not isinstance(spec, IncidentSpec):
        raise InvalidInput(say(start_texts.OTHER_KIND, name=str(getattr(spec, "name", "")), kind="incident"))
    return spec


def _value(draft: Draft) -> float:
    """Read what the order is worth, as people type it: 120000, 120_000, 120'000."""
    typed = draft.value.replace("_", "").replace("'", "").replace(",", "")
    try:
        value = float(typed or "0")
    except ValueError:
        value = -1.0
    if value < 0 or not isfinite(value):
        raise InvalidInput(say(texts.NOT_A_VALUE, word=draft.value))
    return value
