import asyncio

from holdfast.outbox.transport import Never, NotSent, Refused, Unknown
from tests.outbox.virtual import House, message, simulate, stop


def test_what_waits_is_shown_by_tier_while_this_process_sends() -> None:
    async def main() -> None:
        house = House()
        assert house.metric("leader") == 0
        await house.outbox.put_all([message(f"{i}", str(i), tier="bronze") for i in range(400)])
        task = house.start()
        await asyncio.sleep(5.5)
        assert house.metric("leader") == 1
        assert house.metric("queued", tier="bronze") == house.metric("rows", state="queued")
        assert 250 <= (house.metric("queued", tier="bronze") or 0) <= 300
        assert house.metric("oldest_seconds", tier="bronze") == 5
        assert house.metric("queued", tier="gold") == 0
        assert house.metric("oldest_seconds", tier="answers") == 0
        assert house.metric("tokens") in {0, 1, 2}
        assert house.metric("sent_total", tier="bronze") == house.metric("waiting_seconds_count", tier="bronze")
        await stop(task)
        assert house.metric("leader") == 0
        assert house.metric("tokens") == 0
        assert house.metric("queued", tier="bronze") is None
        await house.stop()

    simulate(main())


def test_fates_are_counted() -> None:
    async def main() -> None:
        house = House()
        house.transport.script = {
            "group": [Refused(2)],
            "person": [Refused(2)],
            "lost": [Unknown("reset")],
            "page": [Unknown("reset")],
            "blocked": [Never("blocked", 403)],
            "cut": [NotSent("refused")],
        }
        house.start()
        kinds = {"page": "page"}
        for chat, key in enumerate(["person", "lost", "page", "blocked", "cut"], 1):
            await house.outbox.put(message(key, str(chat), kind=kinds.get(key, "card")))
            await asyncio.sleep(20)
        await house.outbox.put(message("group", "-1", kind="card"))
        await house.until_settled()
        assert house.metric("refused_total", chat="group") == 1
        assert house.metric("refused_total", chat="private") == 1
        assert house.metric("uncertain_total", tier="silver") == 1
        assert house.metric("uncertain_total", tier="gold") == 1
        assert house.metric("repeated_total", tier="gold") == 1
        assert house.metric("dead_total", tier="silver") == 1
        assert house.metric("not_sent_total") == 1
        assert house.metric("sent_total", tier="silver") == 3
        await house.stop()

    simulate(main())
