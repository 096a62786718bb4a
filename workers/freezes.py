"""Says what is frozen to those who start something; connected to when it is first asked."""

from collections.abc import Sequence

from temporalio.client import Client

from holdfast.adapters.temporal.holds import TemporalHolds
from holdfast.domain.errors import EngineUnavailable
from holdfast.ports.holds import Held
from workers.client import connect
from workers.settings import Settings
from workflows.options import RUNBOOK_QUEUE


class LateFreezes:
    """`ports.holds.Freezes` over a client that connects when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None

    async def frozen(self, systems: Sequence[str]) -> list[Held]:
        """Return which of these are frozen, and by whom.

        Raises:
            EngineUnavailable: the Temporal server does not answer.
        """
        try:
            self._client = self._client or await connect(self._settings)
        except RuntimeError as error:  # what the SDK raises when it cannot connect
            address = self._settings.temporal_address
            raise EngineUnavailable(f"the Temporal server at {address} does not answer") from error
        return await TemporalHolds(self._client, task_queue=RUNBOOK_QUEUE).frozen(systems)
