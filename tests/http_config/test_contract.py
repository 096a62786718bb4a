"""What `ports.changes` promises, kept against the client's shop in a process of its own."""

from typing import Any

import httpx
import pytest

from holdfast.adapters.http_config import CanaryShareProvider, HttpConfigProvider
from holdfast.domain.errors import ChangeConflict, InvalidInput, Unavailable
from holdfast.domain.journal import Effect, Write
from tests.http_config.writing import AtOnce, send


@pytest.fixture
def settings(shop: str) -> HttpConfigProvider:
    return HttpConfigProvider({"shop": shop})


@pytest.fixture
def share(shop: str) -> CanaryShareProvider:
    return CanaryShareProvider({"shop": shop})


async def get(url: str) -> Any:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).json()


async def log_keys(shop: str) -> list[str]:
    return [entry["key"] for entry in await get(f"{shop}/config/log")]


@pytest.mark.parametrize("part", ["stable", "canary"])
async def test_what_is_written_is_read_and_the_key_is_in_the_targets_log(settings, shop, part):
    before = await settings.read("shop", part)
    wanted = {**before.values, "bot_rate_limit_per_s": before.values["bot_rate_limit_per_s"] + 1}

    written = await send(
        settings, "shop", part, wanted, expected_version=before.version, key=f"run/stage/{part}"
    )

    assert written == await settings.read("shop", part)
    assert written.values == wanted
    assert written.version > before.version
    assert (await log_keys(shop))[-1] == f"run/stage/{part}"


async def test_what_an_effect_would_make_is_foreseen_without_a_write(settings, share, shop):
    before = await settings.read("shop", "canary")
    effect = Effect(
        key="k", stage="s", kind="k", endpoint="shop", part="canary", values={"crm_pool_size": 9}, title="t"
    )
    to_share = effect.model_copy(update={"part": "share", "values": {"percent": 50}})

    assert await settings.foresee(effect, before) == {**before.values, "crm_pool_size": 9}
    assert await share.foresee(to_share, await share.read("shop", "share")) == {"percent": 50}
    assert await settings.read("shop", "canary") == before


async def test_a_way_back_has_a_key_of_its_own_in_the_targets_log(settings, shop):
    before = await settings.read("shop", "canary")
    effect = Effect(key="r/s/c", stage="s", kind="k", endpoint="shop", part="canary", values={}, title="t")
    undo = Write(effect=effect, source={}, goal=before.values, version=before.version, undo=True, attempt=2)

    await settings.write(undo, AtOnce())

    assert (await log_keys(shop))[-1] == "r/s/c/undo-2"


async def test_writing_one_part_leaves_the_others_alone_but_moves_the_version(settings, share):
    stable, percent = await settings.read("shop", "stable"), await share.read("shop", "share")
    canary = await settings.read("shop", "canary")

    wanted = {**canary.values, "crm_pool_size": 7}
    written = await send(settings, "shop", "canary", wanted, expected_version=canary.version, key="k")

    assert (await settings.read("shop", "stable")).values == stable.values
    assert (await share.read("shop", "share")).values == percent.values
    assert (await share.read("shop", "share")).version == written.version


async def test_the_share_is_a_part_of_its_own(share):
    before = await share.read("shop", "share")

    written = await send(share, "shop", "share", {"percent": 25}, expected_version=before.version, key="k")

    assert written.values == {"percent": 25}
    assert await share.read("shop", "share") == written


async def test_a_write_at_an_older_version_conflicts_and_changes_nothing(settings, share, shop):
    old = await settings.read("shop", "stable")
    await send(share, "shop", "share", {"percent": 5}, expected_version=old.version, key="somebody else")
    state = await get(f"{shop}/config")

    with pytest.raises(ChangeConflict, match="endpoint 'shop' was changed by somebody else meanwhile"):
        await send(settings, "shop", "stable", old.values, expected_version=old.version, key="late")

    assert await get(f"{shop}/config") == state
    assert "late" not in (await log_keys(shop))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crm_pool_size": 0}, "give a whole number of connections from 1 to 100"),
        ({"crm_pool_sise": 4}, "leave it out; known are bot_rate_limit_per_s"),
    ],
)
async def test_values_that_the_target_refuses_are_told_in_its_own_words(settings, values, words):
    before = await settings.read("shop", "canary")

    with pytest.raises(InvalidInput, match=words):
        await send(
            settings, "shop", "canary", {**before.values, **values}, expected_version=before.version, key="k"
        )

    assert await settings.read("shop", "canary") == before


async def test_a_share_that_the_target_cannot_do_is_told_in_its_own_words(share):
    before = await share.read("shop", "share")

    with pytest.raises(InvalidInput, match="give 0 to 100 in steps of 5"):
        await send(share, "shop", "share", {"percent": 7}, expected_version=before.version, key="k")

    assert await share.read("shop", "share") == before


async def test_a_lost_answer_is_unavailable_and_reading_shows_that_it_was_written(shop, proxy):
    provider = HttpConfigProvider({"shop": proxy.url})
    before = await provider.read("shop", "stable")
    wanted = {**before.values, "crm_pool_size": before.values["crm_pool_size"] + 1}

    proxy.loses_answers = True
    with pytest.raises(Unavailable, match="endpoint 'shop' does not answer"):
        await send(provider, "shop", "stable", wanted, expected_version=before.version, key="lost")
    proxy.loses_answers = False

    after = await provider.read("shop", "stable")
    assert after.values == wanted
    assert (await log_keys(shop)).count("lost") == 1


async def test_an_answer_that_is_lost_never_makes_a_second_write(shop, proxy):
    provider = HttpConfigProvider({"shop": proxy.url})
    before = await provider.read("shop", "stable")
    proxy.loses_answers = True
    with pytest.raises(Unavailable):
        await send(provider, "shop", "stable", before.values, expected_version=before.version, key="once")
    proxy.loses_answers = False

    with pytest.raises(ChangeConflict):
        await send(provider, "shop", "stable", before.values, expected_version=before.version, key="once")

    assert (await log_keys(shop)).count("once") == 1
