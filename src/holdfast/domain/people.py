"""The people who may start runs and decide gates."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field


class Person(BaseModel):
    """One person of `runbooks/people.yaml`.

    Attributes:
        name: short unique name, as typed on the command line and in the Temporal UI.
        title: what others read, e.g. `Olga (SRE lead)`.
        telegram_id: the numeric id that Telegram puts into updates; None for people without Telegram.
        roles: what the person may do; runbooks name roles, never people's ids.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9._-]{0,31}$")
    title: str = Field(min_length=1, max_length=64)
    telegram_id: int | None = None
    roles: tuple[str, ...] = ()


class People(BaseModel):
    """Everybody Holdfast knows; a run takes a copy of it when it starts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: tuple[Person, ...] = ()

    def named(self, name: str) -> Person | None:
        """Return the person with this short name (case does not matter), or None."""
        wanted = name.strip().lower()
        return next((p for p in self.people if p.name == wanted), None)

    def on_telegram(self, telegram_id: int) -> Person | None:
        """Return the person with this Telegram id, or None for a stranger."""
        return next((p for p in self.people if p.telegram_id == telegram_id), None)

    def holding(self, roles_or_names: Iterable[str]) -> tuple[Person, ...]:
        """Return the people who are named, or hold one of the named roles, each once, in file order."""
        wanted = set(roles_or_names)
        return tuple(p for p in self.people if p.name in wanted or wanted.intersection(p.roles))
