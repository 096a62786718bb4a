from datetime import UTC, datetime

from holdfast.domain.details import details
from holdfast.domain.view import LogLine, RunState, RunView

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def test_the_last_line_is_one_that_nobody_needs_because_the_page_cuts_it_off() -> None:
    view = RunView(
        run_id="rollout-1",
        runbook="support-surge",
        title="Relieve a support surge",
        requested_by="anna",
        started_at=NOW,
        state=RunState.WATCHING,
        headline="watching 5 %",
        log=[LogLine(at=NOW, text="the newest line")],
    )
    lines = details(view).splitlines()
    assert lines[0] == "## WATCHING: watching 5 %"
    assert lines[-1] == "&nbsp;"
    assert any("the newest line" in line for line in lines[:-2])
