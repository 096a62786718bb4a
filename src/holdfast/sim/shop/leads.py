"""Which leads the shop believes to be in the CRM, and how many of them the CRM really has."""

import asyncio
import itertools
import uuid
from collections import deque
from dataclasses import dataclass

from holdfast.sim.shop.crm_client import CrmConnection, CrmFailure
from holdfast.sim.shop.metrics import ShopMetrics
from holdfast.sim.shop.settings import SIDES, Side
from holdfast.sim.shop.workload import Workload

_LEAD = 1
_PAGE = 50
_MOST_REMEMBERED = 20_000
_OWN_NUMBERS_FROM = 1_000_000_000  # the CRM's never get there


@dataclass(frozen=True)
class Filing:
    """One ticket on its way to the CRM.

    Attributes:
        origin: how the lead is found again in the CRM, whatever number it gets there.
        own_number: the ticket's number where it is not filed.
    """

    origin: str
    own_number: int

    @property
    def fields(self) -> dict[str, str]:
        """What the lead says of where it comes from."""
        return {"originatorId": "shop", "originId": self.origin}


class LeadLedger:
    """Compares the tickets that customers were promised with the leads in the CRM, side by side.

    Each ticket is looked up once, by its origin, so that neither leads of others nor those of customers who
    left before they got an answer hide one that is missing. The job has a connection of its own, and counts
    neither as a pod's CRM call nor on a call edge.

    Args:
        crm_url: webhook address of the CRM.
        metrics: where both counts go.
        workload: how often to compare, how long a call may take.
    """

    def __init__(self, crm_url: str, metrics: ShopMetrics, workload: Workload) -> None:
        self._crm_url = crm_url
        self._metrics = metrics
        self._workload = workload
        self._process = uuid.uuid4().hex[:12]  # the CRM remembers leads of shops that ran before
        self._numbers = itertools.count(1)
        self._expected: dict[Side, deque[str]] = {side: deque(maxlen=_MOST_REMEMBERED) for side in SIDES}

    def filing(self) -> Filing:
        """Begin to file a ticket."""
        number = next(self._numbers)
        return Filing(f"{self._process}-{number}", _OWN_NUMBERS_FROM + number)

    def expect(self, side: Side, filing: Filing) -> None:
        """Remember a ticket that its customer has reason to believe in."""
        self._expected[side].append(filing.origin)

    async def run(self) -> None:
        """Compare now and then until cancelled; what could not be compared is tried again the next time."""
        while True:
            await asyncio.sleep(self._workload.reconcile_seconds)
            await self.reconcile()

    async def reconcile(self) -> None:
        """Compare all that is expected; where the CRM does not answer, the rest is left for later."""
        crm = CrmConnection(self._crm_url, self._workload.crm_timeout_seconds)
        try:
            for side in SIDES:
                await self._compare(crm, side)
        finally:
            await crm.close()

    async def _compare(self, crm: CrmConnection, side: Side) -> None:
        expected, metrics = self._expected[side], self._metrics.sides[side]
        while expected:
            origins = list(itertools.islice(expected, _PAGE))
            try:
                found = await _found(crm, origins)
            except CrmFailure:
                metrics.reconciled(failed=True)
                return
            for _ in origins:
                expected.popleft()
            metrics.leads_compared(expected=len(origins), found=found)
        metrics.reconciled(failed=False)


async def _found(crm: CrmConnection, origins: list[str]) -> int:
    """Count which of these the CRM has; with `start` -1 it need not count all matches, which is slow."""
    query = {
        "entityTypeId": _LEAD,
        "filter": {"@originId": origins},
        "select": ["id", "originId"],
        "start": -1,
    }
    items = (await crm.call("crm.item.list", query))["items"]
    return len({item["originId"] for item in items})
