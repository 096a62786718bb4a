"""The worker is killed before, during and after every effect of a five-change rollout and of its rollback."""

import asyncio
import sys
from pathlib import Path

import pytest

from holdfast.domain.view import RunState
from tests.server import start_server
from tests.system.sweep import RUN_ID, Lane, Seen, lane

LANES = 4
EFFECTS = [
    "all/tickets-db",
    "all/shop-ci-canary",
    "all/canary-settings",
    "all/share-5",
    "all/share-25",
    "all/share-100",
    "all/shop-ci-stable",
    "all/promote",
    "all/share-0",
    "all/warm-cache",
]


def keys(*, undone: bool) -> dict[str, int]:
    """Every effect exactly once, and its way back exactly once."""
    made = [f"{RUN_ID}/{effect}" for effect in EFFECTS]
    return dict.fromkeys([*made, *([f"{key}/undo" for key in made] if undone else [])], 1)


def _agree(seen: Seen, undisturbed: Seen, *, undone: bool) -> None:
    assert seen.state == undisturbed.state
    assert dict(seen.effects) == keys(undone=undone)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_worker_killed_at_every_effect_leaves_what_an_undisturbed_one_leaves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with await start_server() as server:
        address = server.client.service_client.config.target_host
        async with lane(tmp_path / "undisturbed", address, []) as alone:
            before = await alone.seen()
            forth, back, view = await alone.play()
            points = alone.points()
        assert alone.deaths() == []
        assert forth.state != before.state
        assert back.state == before.state
        assert dict(forth.effects) == keys(undone=False)
        assert dict(back.effects) == keys(undone=True)

        async def disturbed(number: int) -> Lane:
            async with lane(tmp_path / f"lane-{number}", address, points[number::LANES]) as one:
                there, again, ended = await one.play()
                assert await one.leaks() == []
            _agree(there, forth, undone=False)
            _agree(again, back, undone=True)
            assert ended.state is RunState.ROLLED_BACK
            assert "verified" in ended.headline
            return one

        lanes = await asyncio.gather(*map(disturbed, range(LANES)))

    killed = [point for one in lanes for point in one.deaths()]
    assert sorted(killed) == sorted(points)
    assert {point.partition(":")[0] for point in killed} == {"before", "during", "after"}
    assert view.state is RunState.ROLLED_BACK
    with capsys.disabled():
        sys.stdout.write(f"\nkilled at {len(killed)} points of {2 * len(EFFECTS)} effects: each effect once\n")
