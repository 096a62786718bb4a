import time

import pytest

from tests.sim_shop.physics import BAD_ORDER, FIX_BOT, FIX_POOL, SURGE, Clientele, Window, clientele


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_surge_makes_the_sick_shop_slow_the_fixes_cure_it_and_a_bad_canary_shows_at_once():
    with clientele() as world:
        normal = _after(world, 3)
        world.rate(SURGE)
        sick = _after(world, 20)
        world.both(FIX_BOT, FIX_POOL)
        cured = _after(world, 8)
        world.side("canary", FIX_BOT, FIX_POOL, BAD_ORDER)
        world.put("share", percent=5)
        canary = _after(world, 4)

    assert normal.error_percent("stable") < 1
    assert normal.count("shop_bot_sends_total", result="429") == 0
    assert sick.p95("stable", "account") > 3 * normal.p95("stable", "account")
    assert sick.count("shop_bot_sends_total", result="429") > sick.count("shop_bot_sends_total", result="ok")
    assert sick.count("shop_messages_lost_total") > 0
    assert sick.count("shop_checkouts_abandoned_total") > 0
    assert sick.wait_p50("stable", "bronze") > 5 * normal.wait_p50("stable", "bronze")
    assert cured.p95("stable", "account|support|checkout") < sick.p95("stable", "account|support|checkout") / 2
    assert cured.error_percent("stable") < 1
    assert cured.delivered_a_request("stable") > 1.3 * sick.delivered_a_request("stable")
    assert canary.error_percent("canary") > 20
    assert canary.p95("canary") > 2 * canary.p95("stable")
    assert canary.delivered_a_request("canary") < canary.delivered_a_request("stable") / 2
    assert canary.error_percent("stable") < 2


def _after(world: Clientele, seconds: float) -> Window:
    time.sleep(seconds)
    return world.watch(6)
