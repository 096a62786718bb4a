"""/campaign and /load: what they show, whom they let, and what is started once somebody says yes."""

import pytest

from tests.bot.conftest import World
from tests.bot.test_rollout import labels
from tests.telegram.standin import LENA, OLGA, PAVEL

LOAD = """
kind: load
name: shoppers
title: Shoppers
summary: Look and buy.
starters: [lead]
targets: {shop: {url: "http://127.0.0.1:8710"}, bot: {url: "http://127.0.0.1:8711"}}
scenarios:
  - name: look
    steps:
      - {name: faq, http: {target: shop, path: /support/faq}}
      - {name: greet, telegram: {target: bot, text: /start}}
phases:
  - {name: warm up, rate: 5, for: 30s, shape: ramp}
  - {rate: 20, for: 2m}
"""
CAMPAIGN = """
kind: campaign
name: sale
title: Winter sale
summary: Twice the traffic.
starters: [lead]
owner: lead
client: {title: Retail, time_zone: Europe/Moscow}
window: {opens: 2026-12-11T10:00, closes: 2026-12-14T10:00}
load_test:
  runbook: shoppers
  peak: {expected_peak: 40, safety_factor: 1.5}
  failed: {approvers: [lead]}
  limits: In four batches.
sign_off: {approvers: [lead], requester_may_approve: true}
contexts:
  support:
    title: Support
    slos:
      tickets:
        promise: 99.9 % of tickets within 5 s
        objective_percent: 99.9
        bad: sum(rate(bad[$window]))
        total: sum(rate(all[$window]))
response:
  incident: shop-down
  roles:
    commander: {title: leads, candidates: [lead, oncall]}
    operations: {title: mends, candidates: [oncall]}
"""
BEGIN, LOADS, CANCEL = "🎯 Start the campaign", "🏋️ Start the load", "Cancel"


@pytest.fixture
def shop(world: World) -> World:
    world.write_file("campaign/sale.yaml", CAMPAIGN)
    world.write_file("load/shoppers.yaml", LOAD)
    return world


async def test_a_campaign_shows_window_test_sign_off_and_promises_and_starts_once_confirmed(
    shop: World,
) -> None:
    async with shop.bot():
        await shop.say(OLGA, "/campaign sale")
        asked = await shop.newest()
        assert shop.runs.campaigns == []
        answer = await shop.telegram.press(OLGA, asked, BEGIN)

    text = asked["text"]
    assert text.startswith("🎯 Start “Winter sale”?\nsale · Twice the traffic.")
    assert "For Retail, from " in text
    assert "08:00" in text  # 10:00 in Moscow, on Olga's clock in Berlin
    assert "a load test has to carry 60 sessions a second: 40 expected, times 1.5." in text
    assert "Asked at once to take a role: lead, oncall." in text
    assert "🤝 Support: 99.9 % of tickets within 5 s" in text
    assert labels(asked) == [BEGIN, CANCEL]
    [(run, request)] = shop.runs.campaigns
    assert run.startswith("campaign-")
    assert answer["text"] == f"Started: {run}"
    assert (request.runbook, request.requested_by, request.opens) == ("sale", "olga", None)


async def test_a_load_test_shows_how_much_how_long_and_against_what(shop: World) -> None:
    async with shop.bot():
        await shop.say(OLGA, "/load Shoppers")
        asked = await shop.newest()
        await shop.telegram.press(OLGA, asked, LOADS)

    text = asked["text"]
    assert text.startswith("🏋️ Start the load test “Shoppers”?")
    assert "Up to 20 sessions a second" in text
    assert "against 127.0.0.1." in text
    assert "▫️ warm up: 5 a second" in text
    assert "▫️ 2: 20 a second" in text
    [(run, request)] = shop.runs.loads
    assert run.startswith("load-")
    assert (request.runbook, request.requested_by, request.campaign) == ("shoppers", "olga", "")


@pytest.mark.parametrize("command", ["/campaign", "/load"])
async def test_the_only_one_needs_no_name(shop: World, command: str) -> None:
    async with shop.bot():
        await shop.say(OLGA, command)
        asked = await shop.newest()
        await shop.telegram.press(OLGA, asked, labels(asked)[0])

    assert len([*shop.runs.campaigns, *shop.runs.loads]) == 1


async def test_cancelling_starts_nothing(shop: World) -> None:
    async with shop.bot():
        await shop.say(OLGA, "/campaign sale")
        await shop.telegram.press(OLGA, await shop.newest(), CANCEL)

    assert shop.runs.campaigns == []


@pytest.mark.parametrize(
    ("user", "typed", "refusal"),
    [
        (PAVEL, "/campaign sale", "Pavel (on call) may not start it; those who may: lead"),
        (PAVEL, "/load shoppers", "Pavel (on call) may not start it; those who may: lead"),
        (OLGA, "/campaign sale now", "'now' is one too many"),
        (OLGA, "/load shoppers 50", "'50' is one too many"),
        (OLGA, "/campaign winter", "winter"),
        (OLGA, "/load sale", "sale"),
    ],
)
async def test_what_cannot_be_started_is_refused_in_words(
    shop: World, user: int, typed: str, refusal: str
) -> None:
    async with shop.bot():
        await shop.say(user, typed)
        told = await shop.newest()

    assert refusal in told["text"]
    assert BEGIN not in labels(told)
    assert (shop.runs.campaigns, shop.runs.loads) == ([], [])


async def test_a_button_counts_for_the_person_who_asked_alone(shop: World) -> None:
    async with shop.bot():
        await shop.say(OLGA, "/load shoppers")
        await shop.telegram.press(LENA, await shop.newest(), LOADS)

    assert shop.runs.loads == []
