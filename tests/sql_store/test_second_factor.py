import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest
from pyotp import parse_uri
from pyotp.totp import TOTP

from holdfast.adapters.sql_store import SqlStore
from holdfast.domain.proofs import Keyring
from holdfast.ports.identity import CodeRefused
from tests.sql_store.conftest import SECRET
from tests.sql_store.processes import at_once

NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
STEP = timedelta(seconds=30)
LATER = NOW + timedelta(hours=1)


def code(secret: str, at: datetime = NOW) -> str:
    return TOTP(secret).at(at)


def wrong(secret: str, at: datetime = NOW) -> str:
    """Six digits that are no code around this moment."""
    near = {code(secret, at + off * STEP) for off in range(-3, 4)}
    return next(digits for digits in ("000000", "111111", "222222", "333333") if digits not in near)


@pytest.fixture
def factor(store):
    return store.second_factor


@pytest.fixture
async def secret(factor):
    """Of boris, who is enrolled since an hour."""
    enrolment = await factor.enrol("boris", now=NOW - timedelta(hours=1))
    await factor.confirm(
        "boris", code(enrolment.secret, NOW - timedelta(hours=1)), now=NOW - timedelta(hours=1)
    )
    return enrolment.secret


async def guess_wrong(factor, secret, *, times=5, at=NOW) -> str:
    for _ in range(times):
        with pytest.raises(CodeRefused) as refused:
            await factor.verify("boris", wrong(secret, at), now=at)
    return str(refused.value)


async def test_an_enrolment_counts_once_its_first_code_was_right(factor):
    enrolment = await factor.enrol("boris", now=NOW)
    app = parse_uri(enrolment.uri)
    assert (app.issuer, app.name, app.secret, app.interval, app.digits) == (
        "Holdfast",
        "boris",
        enrolment.secret,
        30,
        6,
    )
    assert not await factor.enrolled("boris")

    await factor.confirm("boris", app.at(NOW), now=NOW)

    assert await factor.enrolled("boris")
    assert not await factor.enrolled("vera")


async def test_before_it_is_confirmed_no_code_counts(factor):
    enrolment = await factor.enrol("boris", now=NOW)

    with pytest.raises(CodeRefused, match="not set up"):
        await factor.verify("boris", code(enrolment.secret), now=NOW)
    with pytest.raises(CodeRefused, match="holdfast totp enrol vera"):
        await factor.verify("vera", "123456", now=NOW)


async def test_the_first_code_cannot_be_used_again(factor):
    enrolment = await factor.enrol("boris", now=NOW)
    await factor.confirm("boris", code(enrolment.secret), now=NOW)

    with pytest.raises(CodeRefused, match="used already"):
        await factor.verify("boris", code(enrolment.secret), now=NOW)


async def test_a_new_enrolment_forgets_the_unconfirmed_one(factor):
    first = await factor.enrol("boris", now=NOW)
    second = await factor.enrol("boris", now=NOW)

    with pytest.raises(CodeRefused, match="wrong"):
        await factor.confirm("boris", code(first.secret), now=NOW)
    await factor.confirm("boris", code(second.secret), now=NOW)


async def test_an_enrolment_is_good_for_ten_minutes(factor):
    enrolment = await factor.enrol("boris", now=NOW)
    late = NOW + timedelta(minutes=10)

    with pytest.raises(CodeRefused, match="more than 10 minutes ago"):
        await factor.confirm("boris", code(enrolment.secret, late), now=late)
    with pytest.raises(CodeRefused, match="No authenticator app is being set up for vera"):
        await factor.confirm("vera", "123456", now=NOW)

    just = late - timedelta(seconds=1)
    await factor.confirm("boris", code(enrolment.secret, just), now=just)


async def test_whoever_is_enrolled_needs_an_admin_to_begin_anew(factor, secret):
    with pytest.raises(CodeRefused, match="holdfast totp remove boris"):
        await factor.enrol("boris", now=NOW)
    with pytest.raises(CodeRefused, match="already"):
        await factor.confirm("boris", code(secret), now=NOW)
    await factor.verify("boris", code(secret), now=NOW)

    assert await factor.remove("boris")
    assert not await factor.remove("boris")
    assert not await factor.enrolled("boris")
    await factor.enrol("boris", now=NOW)


@pytest.mark.parametrize("steps_off", [-1, 0, 1])
async def test_clocks_may_differ_by_one_step(factor, secret, steps_off):
    await factor.verify("boris", code(secret, NOW + steps_off * STEP), now=NOW)


@pytest.mark.parametrize("steps_off", [-2, 2])
async def test_clocks_may_not_differ_by_two(factor, secret, steps_off):
    with pytest.raises(CodeRefused, match="wrong"):
        await factor.verify("boris", code(secret, NOW + steps_off * STEP), now=NOW)


async def test_spaces_in_a_code_do_not_matter(factor, secret):
    digits = code(secret)
    await factor.verify("boris", f" {digits[:3]} {digits[3:]}\n", now=NOW)


async def test_a_code_counts_once_and_older_ones_not_after_it(factor, secret):
    ahead = code(secret, NOW + STEP)
    await factor.verify("boris", ahead, now=NOW)

    for again in (ahead, code(secret), code(secret, NOW - STEP)):
        with pytest.raises(CodeRefused, match="used already"):
            await factor.verify("boris", again, now=NOW)
    await factor.verify("boris", code(secret, NOW + 2 * STEP), now=NOW + STEP)


async def test_five_wrong_guesses_lock_for_longer_and_longer(factor, secret):
    assert "4 more" in await guess_wrong(factor, secret, times=1)
    assert "2026-03-01 12:15:05 UTC" in await guess_wrong(factor, secret, times=4)

    still = NOW + timedelta(minutes=14)
    with pytest.raises(CodeRefused, match="12:15:05 UTC"):
        await factor.verify("boris", code(secret, still), now=still)

    again = NOW + timedelta(minutes=15)
    assert "2026-03-01 12:45:05 UTC" in await guess_wrong(factor, secret, at=again)
    free = again + timedelta(minutes=30)
    await factor.verify("boris", code(secret, free), now=free)
    after = free + 5 * STEP
    assert f"{after + timedelta(minutes=15):%H:%M:%S}" in await guess_wrong(factor, secret, at=after)


async def test_a_lock_never_grows_beyond_a_day(factor, secret):
    at = NOW
    for _ in range(12):
        await guess_wrong(factor, secret, at=at)
        at += timedelta(days=1)

    await factor.verify("boris", code(secret, at), now=at)


async def test_a_good_code_forgets_earlier_wrong_ones(factor, secret):
    await guess_wrong(factor, secret, times=4)
    await factor.verify("boris", code(secret), now=NOW)

    assert "1 more" in await guess_wrong(factor, secret, times=4)


async def test_guesses_at_an_enrolment_are_counted_too(factor):
    secret = (await factor.enrol("boris", now=NOW)).secret
    for _ in range(5):
        with pytest.raises(CodeRefused) as refused:
            await factor.confirm("boris", wrong(secret), now=NOW)

    assert "None counts until" in str(refused.value)
    with pytest.raises(CodeRefused, match="None counts until"):
        await factor.confirm("boris", code(secret), now=NOW)


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "²²²²²²", "12 34 5x"])
async def test_what_is_no_code_is_no_guess(factor, secret, typed):
    for _ in range(6):
        with pytest.raises(CodeRefused, match="six digits"):
            await factor.verify("boris", typed, now=NOW)
    await factor.verify("boris", code(secret), now=NOW)


async def test_wrong_guesses_survive_a_restart(store, url, keyring, secret):
    await guess_wrong(store.second_factor, secret, times=4)
    restarted = SqlStore(url, keyring)

    assert "None counts until" in await guess_wrong(restarted.second_factor, secret, times=1)
    await restarted.close()


async def test_guesses_that_come_at_once_are_all_counted(factor, secret):
    tries = [factor.verify("boris", wrong(secret), now=NOW) for _ in range(8)]
    refusals = [str(r) for r in await asyncio.gather(*tries, return_exceptions=True)]

    assert sum("more wrong" in r for r in refusals) == 4
    assert sum("None counts until" in r for r in refusals) == 4


async def test_of_two_processes_with_one_code_only_one_wins(factor, url, secret):
    said = at_once(url, SECRET, *[("verify", "boris", code(secret), NOW.isoformat())] * 2)

    assert sorted(s == "accepted" for s in said) == [False, True]
    assert any("used already" in s for s in said)


async def test_of_many_tries_with_one_code_only_one_wins(factor, secret):
    tries = [factor.verify("boris", code(secret), now=NOW) for _ in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)

    assert results.count(None) == 1
    assert all("used already" in str(r) for r in results if r is not None)


async def test_the_secret_is_not_readable_in_the_database(store, secret, intruder):
    ((stored,),) = intruder.rows("SELECT secret FROM second_factors")

    assert secret not in stored
    assert len(stored) > len(secret)


async def test_a_secret_does_not_work_for_another_person(factor, secret, intruder):
    enrolment = await factor.enrol("vera", now=NOW)
    await factor.confirm("vera", code(enrolment.secret), now=NOW)
    ((own,),) = intruder.rows("SELECT secret FROM second_factors WHERE person = 'vera'")
    intruder.run(f"UPDATE second_factors SET secret = '{own}' WHERE person = 'boris'")

    with pytest.raises(CodeRefused, match="holdfast totp remove boris"):
        await factor.verify("boris", code(enrolment.secret, LATER), now=LATER)


async def test_keys_can_be_changed_one_after_the_other(store, url, secret):
    newer = SqlStore(url, Keyring(["a newer secret key", SECRET]))
    await newer.second_factor.verify("boris", code(secret), now=NOW)
    await newer.close()

    alone = SqlStore(url, Keyring(["a newer secret key"]))
    await alone.second_factor.verify("boris", code(secret, LATER), now=LATER)
    await alone.close()
    with pytest.raises(CodeRefused, match="HOLDFAST_SECRET_KEY"):
        await store.second_factor.verify("boris", code(secret, LATER + STEP), now=LATER)


async def test_neither_secrets_nor_codes_are_logged_or_told(factor, secret, caplog):
    with caplog.at_level(logging.DEBUG):
        enrolment = await factor.enrol("vera", now=NOW)
        await factor.confirm("vera", code(enrolment.secret), now=NOW)
        text = await guess_wrong(factor, secret, times=2)
        await factor.verify("boris", code(secret), now=NOW)

    for hidden in (secret, enrolment.secret, code(secret), wrong(secret)):
        assert hidden not in caplog.text + text
