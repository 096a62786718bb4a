"""What is frozen is told before somebody starts a rollout."""

from collections.abc import Sequence
from typing import Any

import pytest

from holdfast.domain.errors import EngineUnavailable
from holdfast.ports.holds import Held, Holder
from tests.bot.conftest import World
from tests.telegram.standin import OLGA


class Freezes:
    """The part of `ports.holds.Holds` that looks for freezes; everything is frozen."""

    down = False

    async def frozen(self, systems: Sequence[str]) -> list[Held]:
        if self.down:
            raise EngineUnavailable("no server")
        return [Held(system=name, by=Holder(run="campaign-1", title="Sale <1>")) for name in systems]


@pytest.fixture
def freezes(world: World) -> Freezes:
    found = Freezes()
    world.services["holds"] = found
    return found


async def preview(world: World) -> str:
    async with world.bot():
        await world.say(OLGA, "/rollout surge")
        asked: dict[str, Any] = await world.newest()
    return str(asked["text"])


@pytest.mark.usefixtures("freezes")
async def test_a_frozen_system_is_told_before_the_start(world: World) -> None:
    world.write_runbook("surge")
    text = await preview(world)
    assert text.startswith("🚀 Start “")
    assert "❄️ " in text
    assert "is frozen by campaign-1 (Sale <1>). Roll it out after that; what cannot wait needs" in text


@pytest.mark.usefixtures("freezes")
async def test_a_fix_is_not_warned(world: World) -> None:
    world.write_runbook("surge")
    path = world.runbooks / "rollout" / "surge.yaml"
    path.write_text(path.read_text() + "\nfix: true\n")
    assert "❄️" not in await preview(world)


async def test_a_preview_is_shown_although_it_is_not_known_what_is_frozen(
    world: World, freezes: Freezes
) -> None:
    world.write_runbook("surge")
    freezes.down = True
    text = await preview(world)
    assert text.startswith("🚀 Start “")
    assert "❄️" not in text
