"""Runs that are judged by whose fault it is: what they count, keep and say."""

from holdfast.domain.view import RunView
from tests.workflows.conftest import House


async def test_a_sign_off_says_the_worst_that_the_stage_can_do(house: House) -> None:
    name = house.write_attributed()
    house.metrics.values[f"{name}:traffic:stable"] = 10.0
    run = await house.start(name)

    gate = await run.gate()
    await run.answer("reject", gate=gate)

    # Five silent verdicts are the slowest way to be found: 0.1 s settle + 5 * 0.1 s + 0.1 s, at 600 a minute.
    assert gate.question.endswith(
        "At worst, until it is undone or you are asked: 7 bad user-minutes (100 % of 600 users/min for 0.7 s)."
    )


async def test_a_promoted_run_says_whom_its_canary_met_and_keeps_what_every_model_said(house: House) -> None:
    run = await house.start(house.write_attributed(shadow=["weighted-seed", "judge"]))

    await run.answer()
    result = await run.result()

    view = RunView.model_validate(result["view"])
    kept = [row for row in house.verdicts.kept.values() if row.run_id == run.handle.id]
    assert result["outcome"] == "promoted"
    assert [each.share_percent for each in view.exposed] == [5, 25, 100]
    assert "on the canary" in view.exposure
    assert {(row.model, row.deciding) for row in kept} == {
        ("attributed", True),
        ("weighted-seed", False),
        ("judge", False),
    }
    assert view.verdict is not None
    assert {line.compared_with for line in view.verdict.lines} == {"baseline"}  # at 100 % there is no control


async def test_a_canary_with_errors_of_its_own_is_rolled_back_by_the_veto_alone(house: House) -> None:
    run = await house.start(house.write_attributed())
    run.show("error_rate", 40.0)

    await run.answer()
    result = await run.result()

    view = RunView.model_validate(result["view"])
    assert result["outcome"] == "rolled back"
    assert "error_rate is 40 %" in view.headline
    assert "which alone means rollback" in view.headline
    assert view.exposed[0].bad > 0
