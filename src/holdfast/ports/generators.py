"""What makes the load of a test: generators, the workers that run them, and whoever is told what came of it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from holdfast.domain.campaign import TestLine
from holdfast.loadgen.report import Report, Share
from holdfast.ports.load import NewerTest


class Generation(Protocol):
    """A generator that runs."""

    def reports(self) -> AsyncIterator[Report]:
        """Yield what it says, to its end; to be called once.

        Raises:
            InvalidInput: it must not, or cannot, make this share; no other generator here could.
            Unavailable: it ended before it was done.
        """
        ...

    async def stop(self, why: str) -> None:
        """Let it send nothing any more, within 0.3 s; what it still has to say comes out of `reports`."""
        ...


class Generators(Protocol):
    """Starts generators on this machine."""

    async def prepare(self) -> None:
        """Make ready that `run` is quick; raises as it does."""
        ...

    def run(self, share: Share) -> AbstractAsyncContextManager[Generation]:
        """Start a generator; its secrets are read here. None is left behind when the block is left.

        Raises:
            InvalidInput: a secret cannot be read.
            Unavailable: it cannot be started now.
        """
        ...


class Leases(Protocol):
    """Keeps shares from being given to another worker."""

    async def renew(self, token: bytes) -> bool:
        """Tell the server that the activity of this token is alive; False where it is over for the server.

        Raises:
            EngineUnavailable: the Temporal server does not answer.
        """
        ...


class LoadWorkers(Protocol):
    """Knows which workers make load."""

    async def names(self) -> list[str]:
        """Return the names of those that were there lately, sorted; some may be dead.

        Raises:
            EngineUnavailable: the Temporal server does not answer.
        """
        ...


class OpenTests(Protocol):
    """Reaches the open runs of load tests."""

    async def overtake(self, newer: NewerTest) -> int:
        """Tell all but that test's own run of it; return how many. Those it does not concern take no notice.

        Raises:
            EngineUnavailable: the Temporal server does not answer.
        """
        ...


class CampaignRuns(Protocol):
    """Tells the running campaigns."""

    async def tested(self, campaign: str, line: TestLine) -> int:
        """Tell every run of this campaign that is open what a test came to; return how many there are.

        Raises:
            EngineUnavailable: the Temporal server does not answer.
        """
        ...
