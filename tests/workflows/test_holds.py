"""Two runs that change one system: the second waits or refuses, and says why."""

from holdfast.domain.view import RunState, RunView
from tests.fakes import eventually
from tests.workflows.conftest import House, Run, runbook

SLOW = {"default": {"settle": "0.1s", "window": "600s", "interval": "1s"}}


async def two_on_one_target(house: House, **second: object) -> tuple[Run, Run]:
    """Start a run that watches its canary, and a second one on the same target."""
    first = await house.start(house.write(paces=SLOW, target={"endpoint": "NAME", "environment": "rehearsal"}))
    await first.answer()

    async def watching() -> bool:
        return (await first.view()).state is RunState.WATCHING

    await eventually(watching)
    target = {"endpoint": first.name, "environment": "rehearsal", **second}
    return first, await house.start(house.write(target=target, stages=runbook("NAME")["stages"][:1]))


async def headline(run: Run, words: str) -> RunView:
    async def there() -> RunView | None:
        view = await run.view()
        return view if words in view.headline else None

    return await eventually(there)


async def test_the_second_run_on_a_target_waits_says_for_whom_and_goes_on(house: House) -> None:
    first, second = await two_on_one_target(house)
    waiting = await headline(second, "waits")

    assert f"{first.name} is held by {first.handle.id} (stage limit, since " in waiting.headline
    assert waiting.gate is None
    pings = house.chat.pings[second.handle.id]
    await eventually(lambda: any("waits" in text for text in pings))

    await first.roll_back()
    await first.result()
    gate = await second.gate()
    assert gate.id == "1-limit"
    await second.answer("reject", gate=gate)
    await second.result()


async def test_the_second_run_refuses_where_its_file_says_so(house: House) -> None:
    first, second = await two_on_one_target(house, if_busy="refuse")
    report = await second.result()

    assert report["outcome"] == "stopped"
    assert f"is held by {first.handle.id}" in report["view"]["headline"]
    assert "if_busy: refuse" in report["view"]["headline"]
    await first.roll_back()
    await first.result()


async def test_a_sign_off_that_takes_weeks_holds_nobody_up(house: House) -> None:
    first = await house.start(house.write())
    gate = await first.gate()
    second = await house.start(
        house.write(target={"endpoint": first.name, "environment": "rehearsal", "if_busy": "refuse"})
    )
    other = await second.gate()
    assert (gate.id, other.id) == ("1-limit", "1-limit")
    for run in (first, second):
        await run.answer("reject")
        await run.result()


async def test_a_run_that_was_terminated_holds_nothing(house: House) -> None:
    first, second = await two_on_one_target(house)
    await headline(second, "waits")
    await first.handle.terminate("out of the way")
    gate = await second.gate()
    assert "a canary is out already" in gate.question
    await second.answer("reject", gate=gate)
    await second.result()


async def test_a_run_may_hold_its_target_to_its_end(house: House) -> None:
    name = house.write(target={"endpoint": "NAME", "environment": "rehearsal", "hold": "run"})
    first = await house.start(name)
    gate = await first.answer()
    last = await first.gate(lambda g: g.id != gate.id)
    second = await house.start(house.write(target={"endpoint": name, "environment": "x", "if_busy": "refuse"}))
    report = await second.result()
    assert f"is held by {first.handle.id} (stage limit" in report["view"]["headline"]
    await first.answer("reject", gate=last)
    await first.result()
    third = await house.start(house.write(target={"endpoint": name, "environment": "x", "if_busy": "refuse"}))
    assert (await third.gate()).id == "2-pool"  # the first stage is in place
    await third.answer("reject")
    await third.result()
