"""What requests to GitHub's API say: bodies, numbers and searches, and the refusal of what says it wrong."""

import json
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

from holdfast.sim.ci.engine import CiRun, RunState

STATUS: Final = {RunState.QUEUED: "queued", RunState.RUNNING: "in_progress"}
CONCLUSION: Final = {
    RunState.SUCCESS: "success",
    RunState.FAILED: "failure",
    RunState.CANCELED: "cancelled",
}
_COMPARE: Final[Mapping[str, Callable[[datetime, datetime], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


class Refused(Exception):
    """A request that GitHub does not grant, with the status and the message of its answer."""

    def __init__(self, status: int, message: str) -> None:
        """Refuse with this."""
        super().__init__(message)
        self.status = status


def object_of(content: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; anything else is refused."""
    try:
        body: Any = json.loads(content)
    except ValueError:
        raise Refused(400, "Problems parsing JSON") from None
    if not isinstance(body, dict):
        raise Refused(400, "Body should be a JSON object")
    return cast("dict[str, Any]", body)


def invalid(why: str) -> Refused:
    """Return the refusal of a body that says something wrong."""
    return Refused(422, f"Invalid request.\n\n{why}")


def matches(run: CiRun, query: Mapping[str, str]) -> bool:
    """Whether a list with these filters shows the run."""
    status = STATUS.get(run.state, "completed")
    return (
        query.get("event", "workflow_dispatch") == "workflow_dispatch"
        and query.get("branch", run.ref) == run.ref
        and query.get("status", status) in {status, CONCLUSION.get(run.state)}
        and _created(run.created_at, query.get("created", ""))
    )


def _created(moment: datetime, wanted: str) -> bool:
    """Whether a moment is in a range as the search understands it: `>=…`, `<…`, `…..…`."""
    if ".." in wanted:
        first, _, last = wanted.partition("..")
        return _parsed(first) <= moment <= _parsed(last)
    for sign, compare in _COMPARE.items():
        if wanted.startswith(sign):
            return compare(moment, _parsed(wanted.removeprefix(sign)))
    return not wanted or moment.date() == _parsed(wanted).date()


def _parsed(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(422, f"'{text}' is not a valid date") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def number_of(text: str, first: int) -> int:
    """Return which one an id means, counted from the first id; 0 where it is no id."""
    return int(text) - first if text.isdecimal() else 0


def positive(text: str | None, default: int) -> int:
    """Return a number from 1 that stands in a query."""
    return max(1, int(text)) if text and text.isdecimal() else default
