from datetime import timedelta
from typing import Any, Protocol

from pydantic import AwareDatetime, BaseModel

from holdfast.domain.decisions import CodeRequest, Decision, DecisionReply, Extension, Handover, RollBack
from holdfast.domain.gates import Gate
from holdfast.domain.view import RunView
from holdfast.domain.words import Word


class RolloutRequest(BaseModel):
    """What starts a rollout; the Temporal UI's "Start workflow" takes the same JSON.

    Attributes:
        runbook: name of the runbook file, without its ending.
        requested_by: short name of the person who starts it.
        pace: which of the runbook's paces to watch at.
    """

    runbook: str
    requested_by: str
    pace: str = "default"


class UndoRequest(BaseModel):
    """What starts a run that undoes an ended one.

    Attributes:
        run: id of the ended run.
        requested_by: short name of the person who wants it.
        to: name of the last stage that stays; empty: nothing stays.
        reason: for the record and for those who are asked.
    """

    run: str
    requested_by: str
    to: str = ""
    reason: str = ""


class IncidentRequest(BaseModel):
    """What opens an incident; the Temporal UI's "Start workflow" takes the same JSON.

    Attributes:
        runbook: name of the runbook file of `kind: incident`, without its ending.
        requested_by: short name of the person who opens it.
        title: what is wrong, in one line.
        tier: of the customer it is about; empty: the default of `priorities.yaml`.
        value: of the order it is about.
        by_run: id of the run that opens it by itself, for that person; then nobody's right to open is asked.
    """

    runbook: str
    requested_by: str
    title: str
    tier: str = ""
    value: float = 0.0
    by_run: str = ""


class CampaignRequest(BaseModel):
    """What starts a campaign; the Temporal UI's "Start workflow" takes the same JSON.

    Attributes:
        runbook: name of the runbook file of `kind: campaign`, without its ending.
        requested_by: short name of the person who starts it.
        opens, closes: the window, where it is another one than the file's.
    """

    runbook: str
    requested_by: str
    opens: AwareDatetime | None = None
    closes: AwareDatetime | None = None


class LoadRequest(BaseModel):
    """What starts a load test.

    Attributes:
        runbook: name of the `kind: load` file.
        requested_by: short name of the person who starts it; `schedule` where a schedule does.
        campaign: name of the campaign it is for: its peak replaces the phases. Empty for none.
        schedule: id of the schedule that started it; such a test is skipped in a blackout. Empty for none.
        rate: one constant phase at it, sessions a second, in place of all. Not for a campaign's test.
        lasts: of that phase; without `rate` at the highest rate of the test. Not for a campaign's test either.
    """

    runbook: str
    requested_by: str
    campaign: str = ""
    schedule: str = ""
    rate: float | None = None
    lasts: timedelta | None = None


class RunLine(BaseModel):
    """One run in a list.

    Attributes:
        status: `running` or how it ended; where it shows more of itself, its state.
        started_at: ISO 8601, UTC.
        kind: of its runbook, e.g. `rollout`, `incident`.
    """

    run_id: str
    runbook: str
    status: str
    started_at: str
    kind: str = "rollout"


class WaitingGate(BaseModel):
    """A gate that waits for somebody, in a list.

    Attributes:
        gate: as it is now.
        waiting: short names of those who could answer now and have not.
    """

    run_id: str
    runbook: str
    title: str
    gate: Gate
    waiting: tuple[str, ...] = ()


class RunControl(Protocol):
    """Starts runs, reads them and passes decisions to them.

    All methods raise `EngineUnavailable` when the Temporal server does not answer.
    """

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        """Start a run; False when a run of this id was already there, which is not an error."""
        ...

    async def undo(self, request: UndoRequest, *, run_id: str) -> bool:
        """Start a run that undoes an ended one; it asks for one approval first. Otherwise as `start`."""
        ...

    async def decide(self, run_id: str, decision: Decision) -> DecisionReply:
        """Pass a decision and return the true answer.

        When no worker answers in time the decision is stored durably and the reply says so.

        Raises:
            DecisionRefused: it does not count, and why.
            UnknownName: there is no such run.
        """
        ...

    async def extend(self, run_id: str, extension: Extension) -> DecisionReply:
        """Move the deadline of a run's open gate; errors as for `decide`, but nothing is stored."""
        ...

    async def hand_over(self, run_id: str, handover: Handover) -> DecisionReply:
        """Hand a run's open gate over to somebody else; errors as for `extend`."""
        ...

    async def roll_back(self, run_id: str, request: RollBack) -> DecisionReply:
        """Ask a run to undo what it did, at any time before its end; stored while no worker is up.

        Raises:
            DecisionRefused: it does not count, and why: not by this person, nothing to undo, the run has ended.
            UnknownName: there is no such run, or no such stage.
        """
        ...

    async def open_incident(self, request: IncidentRequest, *, run_id: str) -> bool:
        """Open an incident. Otherwise as `start`."""
        ...

    async def start_campaign(self, request: CampaignRequest, *, run_id: str) -> bool:
        """Start a campaign. Otherwise as `start`."""
        ...

    async def start_load(self, request: LoadRequest, *, run_id: str) -> bool:
        """Start a load test. Otherwise as `start`."""
        ...

    async def say(self, run_id: str, word: Word) -> DecisionReply:
        """Pause or resume a run; acknowledge, hand over, comment on or resolve an incident.

        Stored durably while no worker is up, and the reply says so.

        Raises:
            DecisionRefused: it does not count, and why: not by this person, not in this state, not this kind.
            UnknownName: there is no such run.
        """
        ...

    async def send_code(self, run_id: str, request: CodeRequest) -> DecisionReply:
        """Have an approval code sent to a person's private chat; the reply says where it went."""
        ...

    async def waiting(self, person: str = "", *, limit: int = 50) -> list[WaitingGate]:
        """Return the open gates that wait for this person, or for anybody; the longest waiting first."""
        ...

    async def view(self, run_id: str) -> RunView:
        """Return what the run shows of itself; raises UnknownName for an unknown run."""
        ...

    async def recent(self, *, limit: int = 20) -> list[RunLine]:
        """Return the newest runs, newest first."""
        ...

    async def result(self, run_id: str) -> dict[str, Any]:
        """Wait for the run's end and return its report."""
        ...
