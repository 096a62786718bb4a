"""A client that connects when it is first needed, and one way to say that the server does not answer."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from temporalio.client import Client
from temporalio.service import RPCError

from holdfast.adapters.temporal.refusals import unavailable


class Connection:
    """Lends the client."""

    def __init__(self, connect: Callable[[], Awaitable[Client]], address: str) -> None:
        """Connect so; `address` is what errors call the server."""
        self._connect, self._address = connect, address
        self._client: Client | None = None

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[Client]:
        """Lend the client; say in one way that the server does not answer.

        Raises:
            EngineUnavailable: it does not, or a request of the block got an error that the block let through.
        """
        try:
            if self._client is None:
                self._client = await self._connect()
            yield self._client
        except RuntimeError as error:  # what the SDK raises when it cannot connect
            raise unavailable(self._address) from error
        except RPCError as error:
            raise unavailable(self._address, error) from error
