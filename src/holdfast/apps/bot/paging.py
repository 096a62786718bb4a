"""Who is on duty, and whom an escalation policy would call."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from holdfast.apps.bot.services import Services
from holdfast.domain.duty import Roster
from holdfast.domain.errors import UnknownName
from holdfast.domain.people import Person

_ROTA: Final = "rota:"
LOOK_AHEAD: Final = timedelta(days=400)


@dataclass(frozen=True)
class PagedTier:
    """People who are called together.

    Attributes:
        after: so long after the first ones.
    """

    after: timedelta
    people: tuple[Person, ...]


class Paging:
    """Asks the rotas with what was arranged about them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def roster(self, at: datetime) -> Roster:
        """Return who is on duty from this moment on; raises InvalidInput for a wrong file."""
        covers = await self._services.duty.covers(since=at, until=at + LOOK_AHEAD)
        return Roster(self._services.library.duty(), covers=covers, people=self._services.people())

    async def on_duty(self) -> list[str]:
        """Return the short names of those who are on duty now, each once."""
        now = self._services.now()
        roster = await self.roster(now)
        shifts = [roster.on_duty(rota, now) for rota in self._services.library.duty()]
        return list(dict.fromkeys(shift.person for shift in shifts if shift))

    async def tiers(self, policy: str) -> list[PagedTier]:
        """Return whom an incident that is opened now would call, and when.

        Raises:
            UnknownName: there is no such policy.
            InvalidInput: a file is wrong.
        """
        policies = self._services.library.policies()
        if policy not in policies:
            raise UnknownName("escalation policy", policy, policies)
        now, after = self._services.now(), timedelta(0)
        roster = await self.roster(now)
        tiers: list[PagedTier] = []
        for step in policies[policy].steps:
            tiers.append(PagedTier(after, self._people(step.page, roster, now)))
            after += step.wait
        return tiers

    def _people(self, called: tuple[str, ...], roster: Roster, at: datetime) -> tuple[Person, ...]:
        names: list[str] = []
        for name in called:
            if name.startswith(_ROTA):
                shift = roster.on_duty(name.removeprefix(_ROTA), at)
                names += [shift.person] if shift else []
            else:
                names.append(name)
        return self._services.people().holding(names)
