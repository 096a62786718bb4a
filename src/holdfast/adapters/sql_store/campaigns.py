"""Campaigns beyond their runs: what was seen each minute, and how each run stands or stood at its end."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, select

from holdfast.adapters.sql_store.chain import storable
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.moment_rows import digest, joined, split
from holdfast.adapters.sql_store.tables import campaign_moments as looks
from holdfast.adapters.sql_store.tables import campaign_shapes as shapes
from holdfast.adapters.sql_store.tables import campaigns
from holdfast.ports.campaigns import KeptCampaign, KeptMoment
from holdfast.slo.status import Moment

_DOCUMENTS: Final = ("view", "spec", "inventory")
_PLAIN: Final = ("run", "campaign", "client", "opens", "closes")


class SqlCampaigns:
    """Campaigns in tables; see `holdfast.ports.campaigns.CampaignLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def saw(self, moments: Sequence[KeptMoment]) -> None:
        """Keep what was seen; what is there already stays as it was, so that repeating is harmless."""
        if not moments:
            return
        rows, known = _rows(moments)

        def work(connection: Connection) -> None:
            for table, values in ((shapes, known), (looks, rows)):
                connection.execute(self._database.insert(table).on_conflict_do_nothing(), values)

        await self._database.write(work)

    async def moments(
        self, run: str, *, since: datetime | None = None, limit: int | None = None
    ) -> list[Moment]:
        """Return what was seen in a run, oldest first; `since` counts too.

        With `limit` only so many: all looks of a month are more than a process should hold at once.
        """
        query = select(looks).where(looks.c.run == run).order_by(looks.c.at)
        if since is not None:
            query = query.where(looks.c.at >= since)
        if limit is not None:
            query = query.limit(limit)
        return await self._database.read(lambda connection: _moments(connection, run, query))

    async def keep(self, campaign: KeptCampaign) -> None:
        """Keep a campaign as it stands; what is kept again replaces it."""
        row = _row(campaign)
        written = self._database.insert(campaigns).values(row)
        others = {name: value for name, value in row.items() if name != "run"}
        statement = written.on_conflict_do_update(index_elements=["run"], set_=others)
        await self._database.write(lambda connection: connection.execute(statement))

    async def campaign(self, run: str) -> KeptCampaign | None:
        """Return one campaign by its run; None where none is kept."""
        query = select(campaigns).where(campaigns.c.run == run)
        found = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        return _kept(found) if found else None

    async def campaigns(self, campaign: str = "", *, limit: int = 20) -> list[KeptCampaign]:
        """Return campaigns of this name, or of all, the newest window first, without views and specs."""
        table = campaigns.c
        query = select(*(table[name] for name in (*_PLAIN, "inventory")))
        if campaign:
            query = query.where(table.campaign == campaign)
        query = query.order_by(table.opens.desc(), table.run.desc()).limit(limit)
        return await self._database.read(
            lambda connection: [_kept(row) for row in connection.execute(query).mappings()]
        )


def _rows(moments: Sequence[KeptMoment]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of what was seen, and their shapes, each once."""
    rows: list[dict[str, Any]] = []
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for kept in moments:
        shape, numbers = split(kept.moment)
        name = digest(shape)
        rows.append({"run": kept.run, "at": kept.moment.at, "shape": name, "numbers": numbers})
        known[kept.run, name] = {"run": kept.run, "digest": name, "data": shape}
    # In one order for all: two writers that met each other's rows crosswise would wait for each other.
    rows.sort(key=lambda row: (row["run"], row["at"]))
    return rows, [known[key] for key in sorted(known)]


def _moments(connection: Connection, run: str, query: Select[Any]) -> list[Moment]:
    seen = connection.execute(query).mappings().all()
    # After the looks: whatever shape they have is there by now.
    of_run = connection.execute(select(shapes).where(shapes.c.run == run)).mappings()
    known = {row["digest"]: json.loads(row["data"]) for row in of_run}
    return [joined(row["at"], known[row["shape"]], row["numbers"]) for row in seen]


def _row(campaign: KeptCampaign) -> dict[str, Any]:
    dumped = campaign.model_dump(mode="json", include=set(_DOCUMENTS))
    documents = {
        name: storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        for name, value in dumped.items()
    }
    return {name: getattr(campaign, name) for name in _PLAIN} | documents


def _kept(row: Mapping[Any, Any]) -> KeptCampaign:
    documents = {name: json.loads(row[name]) for name in _DOCUMENTS if name in row}
    return KeptCampaign.model_validate({name: row[name] for name in _PLAIN} | documents)
