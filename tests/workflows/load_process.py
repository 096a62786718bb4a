"""A load worker in a process of its own: `python load_process.py ADDRESS DATABASE [COMMAND…]`; says READY.

The command starts a generator in place of the usual one.
"""

import asyncio
import os
import signal
import sys

from temporalio.client import Client

from activities.loading import LoadActivities
from holdfast.adapters.generators import ProcessGenerators
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.load_log import SqlLoadLog
from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.adapters.temporal.load_workers import TemporalLeases
from workers.load import load_workers
from workers.systems import reveal


async def serve(address: str, url: str, *command: str) -> None:
    client = await Client.connect(address, data_converter=DATA_CONVERTER)
    log = SqlLoadLog(Database(url))
    generators = ProcessGenerators(reveal, command=command) if command else ProcessGenerators(reveal)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    making = LoadActivities(generators, lambda: log, leases=TemporalLeases(client))
    own, shared = load_workers(client, making)
    async with own, shared:
        print("READY", flush=True)  # noqa: T201  its parent reads it
        await told.wait()
    await generators.aclose()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
    os._exit(0)
