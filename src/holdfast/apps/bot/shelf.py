"""The runbooks by kind."""

from collections.abc import Mapping

from holdfast.apps.bot.services import Services
from holdfast.domain.errors import InvalidInput
from holdfast.domain.ids import digest_of
from holdfast.domain.strict import Strict
from holdfast.runbook.kinds.table import KINDS
from holdfast.runbook.loader import LoadedRunbook, load_runbook


class Shelf:
    """Finds runbooks of any kind."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def kinds(self) -> Mapping[str, list[str]]:
        """Return the names of all runbooks by kind, kinds without one included; the files may be invalid."""
        return {kind: self.names(kind) for kind in KINDS}

    def names(self, kind: str) -> list[str]:
        """Return the names of the runbooks of a kind, sorted; none of a kind that is not known."""
        return self._services.library.names(kind) if kind in KINDS else []

    def load(self, kind: str, name: str) -> LoadedRunbook[Strict]:
        """Load a runbook of any kind.

        Raises:
            UnknownName: there is none of that name.
            RunbookInvalid: its file is wrong, line by line.
        """
        return load_runbook(self._services.library.path(name, kind))

    def title(self, kind: str, name: str) -> str:
        """Return what people read; empty where the file does not say it any more."""
        try:
            return str(getattr(self.load(kind, name).spec, "title", ""))
        except InvalidInput:
            return ""


def meant_by(digest: str, names: list[str]) -> str:
    """Return the one of these names for which a button stands; empty where it has gone."""
    return next((name for name in names if digest_of(name) == digest), "")
