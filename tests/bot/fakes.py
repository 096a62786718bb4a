"""Ports in memory that answer by the product's own rules, each delivery once."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.domain import gates, standing
from holdfast.domain.decisions import (
    ROLLBACK,
    Answer,
    CodeRequest,
    Decision,
    DecisionReply,
    Extension,
    Handover,
    RollBack,
    Signed,
)
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput, UnknownName
from holdfast.domain.gates import Delegation, Gate, GateState
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.signoff import Slot
from holdfast.domain.view import IncidentView, RunState, RunView
from holdfast.domain.words import Act, Word, check_word
from holdfast.ports.audit import AuditEntry, ChainedEntry, ChainReport
from holdfast.ports.duty import Cover
from holdfast.ports.identity import CodeRefused, Enrolment, Intent
from holdfast.ports.runs import (
    CampaignRequest,
    IncidentRequest,
    LoadRequest,
    RolloutRequest,
    RunLine,
    UndoRequest,
    WaitingGate,
)
from tests.telegram import views
from tests.telegram.standin import LENA, OLGA, PAVEL

PEOPLE = People(
    people=(
        Person(
            name="olga",
            title="Olga (SRE lead)",
            telegram_id=OLGA,
            roles=("lead",),
            time_zone="Europe/Berlin",
        ),
        Person(name="pavel", title="Pavel (on call)", telegram_id=PAVEL, roles=("oncall",)),
        Person(name="lena", title="Lena (guest)", telegram_id=LENA),
    )
)
KEYRING = Keyring(["a secret of the tests, long enough"])
RUN = "rollout-4f7qk2mz"
INCIDENT = "incident-7abc2def"


def an_open_gate(**changes: object) -> Gate:
    """One that olga or pavel may answer."""
    slot = Slot(step=0, holders=("olga", "pavel"), label="lead")
    asked = {"slots": (slot,), "extenders": ("olga", "pavel"), "execution": "execution-1"}
    return views.an_open_gate(**{**asked, **changes})


def a_view(**changes: object) -> RunView:
    return views.a_view(**{"gate": an_open_gate(), **changes})


def an_incident(**changes: object) -> RunView:
    """One that is open for ten minutes, that nobody has, and that olga or pavel may answer."""
    view = RunView(
        run_id=INCIDENT,
        runbook="shop-down",
        title="Checkout is down",
        requested_by="lena",
        started_at=datetime.now(UTC) - timedelta(minutes=10),
        state=RunState.OPEN,
        kind="incident",
        people=PEOPLE,
        incident=IncidentView(may_answer=["olga", "pavel"], steps=2, step=1, called=["pavel"]),
    )
    return view.model_copy(update=changes)


class MemoryRuns:
    """Runs without an engine.

    Attributes:
        down: the engine does not answer.
        no_worker: the engine answers, but nobody works for it.
        slow: calls take this many seconds.
        silent_for: people whose decisions are never answered.
        broken: how many calls fail in a way that nobody foresaw.
        starts, decisions, extensions, handovers, rollbacks: every effect, in order.
        incidents, undos, words: the same for incidents, undoing runs, and what was said to runs.
        campaigns, loads: the same for campaigns and load tests.
        codes: every code that was asked for.
        stored: decisions that nobody has checked yet.
        asked: how many calls came.
        most_at_once: how many calls were there at the same time.
    """

    def __init__(self) -> None:
        self.views: dict[str, RunView] = {}
        self.starts: list[tuple[str, RolloutRequest]] = []
        self.decisions: list[Decision] = []
        self.extensions: list[Extension] = []
        self.handovers: list[Handover] = []
        self.rollbacks: list[RollBack] = []
        self.incidents: list[tuple[str, IncidentRequest]] = []
        self.campaigns: list[tuple[str, CampaignRequest]] = []
        self.loads: list[tuple[str, LoadRequest]] = []
        self.undos: list[tuple[str, UndoRequest]] = []
        self.words: list[tuple[str, Word]] = []
        self.codes: list[CodeRequest] = []
        self.stored: list[Decision] = []
        self.down = False
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.no_worker = False
        self.slow = 0.0
        self.silent_for: set[str] = set()
        self.broken = 0
        self.asked = 0
        self.most_at_once = 0
        self._calls = 0
        self._answers: dict[str, DecisionReply] = {}

    def add(self, view: RunView) -> None:
        self.views[view.run_id] = view

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        await self._answer()
        if run_id in self.views:
            return False
        self.starts.append((run_id, request))
        self.add(
            RunView(
                run_id=run_id,
                runbook=request.runbook,
                title=request.runbook,
                requested_by=request.requested_by,
                started_at=datetime.now(UTC),
            )
        )
        return True

    async def decide(self, run_id: str, decision: Decision) -> DecisionReply:
        await self._answer()
        if decision.by in self.silent_for:
            await asyncio.sleep(3600)
        view = self._view(run_id)
        if self.no_worker:
            self.stored.append(decision)
            return DecisionReply(answer=Answer.STORED, text="Stored.", gate=decision.gate)
        if decision.id not in self._answers:
            self._answers[decision.id] = self._decide(view, decision)
        return self._answers[decision.id]

    async def extend(self, run_id: str, extension: Extension) -> DecisionReply:
        await self._answer_at_work()
        view, now = self._view(run_id), datetime.now(UTC)
        self._check_code(view, extension)
        standing.check_extension(extension, view.gate, closed=view.closed_gates, people=PEOPLE, now=now)
        self.extensions.append(extension)
        return gates.extend(extension, _open(view))

    async def hand_over(self, run_id: str, handover: Handover) -> DecisionReply:
        await self._answer_at_work()
        view, now = self._view(run_id), datetime.now(UTC)
        self._check_code(view, handover)
        standing.check_handover(handover, view.gate, closed=view.closed_gates, people=PEOPLE, now=now)
        self.handovers.append(handover)
        return gates.hand_over(handover, _open(view), now)

    async def roll_back(self, run_id: str, request: RollBack) -> DecisionReply:
        await self._answer()
        view = self._view(run_id)
        if self.no_worker:
            return DecisionReply(answer=Answer.STORED, text="Stored.", gate=ROLLBACK)
        if request.id not in self._answers:
            self._answers[request.id] = self._roll_back(view, request)
        return self._answers[request.id]

    def _roll_back(self, view: RunView, request: RollBack) -> DecisionReply:
        self._check_code(view, request)
        if request.by not in view.may_roll_back:
            raise DecisionRefused(Answer.NOT_AN_APPROVER, f"'{request.by}' may not roll this run back.")
        if view.state is RunState.ROLLING_BACK:
            raise DecisionRefused(Answer.ALREADY_DECIDED, "It is rolling back already.")
        self.rollbacks.append(request)
        view.state, view.headline = RunState.ROLLING_BACK, f"{request.by} asked for it."
        return DecisionReply(answer=Answer.ACCEPTED, text="Rolling back.", gate=ROLLBACK)

    async def start_campaign(self, request: CampaignRequest, *, run_id: str) -> bool:
        await self._answer()
        known = any(there == run_id for there, _ in self.campaigns)
        if not known:
            self.campaigns.append((run_id, request))
        return not known

    async def start_load(self, request: LoadRequest, *, run_id: str) -> bool:
        await self._answer()
        known = any(there == run_id for there, _ in self.loads)
        if not known:
            self.loads.append((run_id, request))
        return not known

    async def open_incident(self, request: IncidentRequest, *, run_id: str) -> bool:
        await self._answer()
        if run_id in self.views:
            return False
        self.incidents.append((run_id, request))
        self.add(an_incident(run_id=run_id, title=request.title, requested_by=request.requested_by))
        return True

    async def undo(self, request: UndoRequest, *, run_id: str) -> bool:
        await self._answer()
        known = any(there == run_id for there, _ in self.undos)
        if not known:
            self.undos.append((run_id, request))
        return not known

    async def say(self, run_id: str, word: Word) -> DecisionReply:
        await self._answer()
        view = self._view(run_id)
        if self.no_worker:
            return DecisionReply(answer=Answer.STORED, text="Stored.", gate=word.gate)
        if word.id not in self._answers:
            self._answers[word.id] = self._say(view, word)
        return self._answers[word.id]

    def _say(self, view: RunView, word: Word) -> DecisionReply:
        KEYRING.check(word, run=view.run_id, execution="", now=self.now())
        if view.campaign or view.load:
            check_word(word, view)
            return self._say_to_campaign(view, word)
        incident = view.incident
        may = view.may_pause if word.act in {Act.PAUSE, Act.RESUME} else incident.may_answer if incident else []
        if word.by not in may:
            raise DecisionRefused(Answer.NOT_AN_APPROVER, f"'{word.by}' may not say that to this run.")
        if view.state.ended:
            raise DecisionRefused(Answer.ALREADY_DECIDED, "It is over already.")
        self.words.append((view.run_id, word))
        match word.act:
            case Act.PAUSE:
                view.state, view.paused_by = RunState.PAUSED, word.by
            case Act.RESUME:
                view.state, view.paused_by = RunState.WATCHING, ""
            case Act.RESOLVE:
                view.state = RunState.RESOLVED
            case Act.ACKNOWLEDGE | Act.HAND_OVER if incident:
                view.state, incident.owner = RunState.ACKNOWLEDGED, word.to or word.by
            case _:
                pass
        return DecisionReply(answer=Answer.ACCEPTED, text="Recorded.", gate=word.gate)

    def _say_to_campaign(self, view: RunView, word: Word) -> DecisionReply:
        self.words.append((view.run_id, word))
        role = view.campaign.role(word.to) if view.campaign and word.act is Act.ACCEPT else None
        task = view.campaign.task(word.to) if view.campaign and word.act is Act.DONE else None
        if role:
            role.person = word.by
        if task:
            task.done_by, task.done_at = word.by, self.now()
        return DecisionReply(answer=Answer.ACCEPTED, text="Recorded.", gate=word.gate)

    async def send_code(self, run_id: str, request: CodeRequest) -> DecisionReply:
        await self._answer_at_work()
        self.codes.append(request)
        if request.gate == ROLLBACK:
            self._view(run_id)
            return DecisionReply(answer=Answer.ACCEPTED, text=f"Sent to {request.by}.", gate=ROLLBACK)
        gate = _open(self._view(run_id))
        return DecisionReply(answer=Answer.ACCEPTED, text=f"Sent to {request.by}.", gate=gate.id)

    async def waiting(self, person: str = "", *, limit: int = 50) -> list[WaitingGate]:
        await self._answer_at_work()
        found = [
            WaitingGate(
                run_id=view.run_id,
                runbook=view.runbook,
                title=view.title,
                gate=view.gate,
                waiting=standing.waiting_for(view.gate, PEOPLE, datetime.now(UTC)),
            )
            for view in self.views.values()
            if view.gate
        ]
        mine = [w for w in found if not person or person in w.waiting]
        return sorted(mine, key=lambda w: w.gate.opened_at)[:limit]

    async def view(self, run_id: str) -> RunView:
        await self._answer_at_work()
        return self._view(run_id).model_copy(deep=True)

    async def recent(self, *, limit: int = 20) -> list[RunLine]:
        await self._answer()
        newest = sorted(self.views.values(), key=lambda view: view.started_at, reverse=True)
        return [
            RunLine(
                run_id=v.run_id,
                runbook=v.runbook,
                status=v.state,
                started_at=v.started_at.isoformat(),
                kind=v.kind,
            )
            for v in newest[:limit]
        ]

    async def result(self, run_id: str) -> dict[str, Any]:
        return {"state": self._view(run_id).state}

    def check_stored(self) -> list[DecisionReply]:
        """Do what a run does with stored decisions once a worker is up."""
        self.no_worker = False
        stored, self.stored = self.stored, []
        return [self._decide(view, d) for d in stored for view in self.views.values()]

    def _decide(self, view: RunView, decision: Decision) -> DecisionReply:
        now = datetime.now(UTC)
        self._check_code(view, decision)
        counted = standing.check(decision, view.gate, closed=view.closed_gates, people=PEOPLE, now=now)
        gate = _open(view)
        self.decisions.append(counted)
        reply = gates.record(counted, gate, now=now)
        if gate.state is not GateState.OPEN:
            view.closed_gates.append(gates.slim(gate))
            view.gate = None
        return reply

    def _check_code(self, view: RunView, said: Signed) -> None:
        KEYRING.check(said, run=view.run_id, execution="execution-1", now=datetime.now(UTC))

    def _view(self, run_id: str) -> RunView:
        if run_id not in self.views:
            raise UnknownName("run", run_id, self.views)
        return self.views[run_id]

    async def _answer_at_work(self) -> None:
        await self._answer()
        if self.no_worker:
            raise EngineUnavailable("no worker is up to answer; start one with 'holdfast worker'")

    async def _answer(self) -> None:
        self.asked += 1
        if self.broken:
            self.broken -= 1
            raise RuntimeError("nobody foresaw this")
        if self.down:
            raise EngineUnavailable("connection refused")
        self._calls += 1
        self.most_at_once = max(self.most_at_once, self._calls)
        await asyncio.sleep(self.slow)
        self._calls -= 1


def _open(view: RunView) -> Gate:
    if view.gate is None:
        raise DecisionRefused(Answer.NOT_THE_OPEN_GATE, "No gate is open in this run now; nothing is asked.")
    return view.gate


class MemorySecondFactor:
    """Authenticator apps whose codes are `<number of the code>` in six digits, each good once.

    Attributes:
        apps: people with a confirmed app, and the number of their next good code.
        begun: people with a secret that is not confirmed.
    """

    LOCKED_AFTER = 3

    def __init__(self) -> None:
        self.apps: dict[str, int] = {}
        self.begun: set[str] = set()
        self.verified = 0
        self._wrong: dict[str, int] = {}

    def code(self, person: str) -> str:
        return f"{100_000 + self.apps.get(person, 0)}"

    async def enrolled(self, person: str) -> bool:
        return person in self.apps

    async def enrol(self, person: str, *, now: datetime) -> Enrolment:
        if person in self.apps:
            raise CodeRefused("You are enrolled already.")
        self.begun.add(person)
        return Enrolment(
            uri=f"otpauth://totp/Holdfast:{person}?secret=JBSWY3DPEHPK3PXP", secret="JBSWY3DPEHPK3PXP"
        )

    async def confirm(self, person: str, code: str, *, now: datetime) -> None:
        if person not in self.begun:
            raise CodeRefused("No enrolment was begun.")
        self._check(person, code)
        self.begun.remove(person)
        self.apps[person] = 1

    async def verify(self, person: str, code: str, *, now: datetime) -> None:
        if person not in self.apps:
            raise CodeRefused("You have no authenticator app.")
        self._check(person, code)
        self.apps[person] += 1
        self.verified += 1

    async def remove(self, person: str) -> bool:
        return self.apps.pop(person, None) is not None

    def _check(self, person: str, code: str) -> None:
        if self._wrong.get(person, 0) >= self.LOCKED_AFTER:
            raise CodeRefused("Too many wrong codes; try again after 03:30 UTC.")
        if code != self.code(person):
            self._wrong[person] = self._wrong.get(person, 0) + 1
            raise CodeRefused("That code is wrong or was used before; wait for the next one.")
        self._wrong[person] = 0


class MemoryIntents:
    def __init__(self) -> None:
        self._there: dict[tuple[str, str], Intent] = {}

    async def put(self, intent: Intent) -> None:
        self._there[intent.person, intent.chat] = intent

    async def peek(self, person: str, chat: str, *, now: datetime) -> Intent | None:
        intent = self._there.get((person, chat))
        return intent if intent and now < intent.expires_at else None

    async def take(self, person: str, chat: str, *, now: datetime) -> Intent | None:
        intent = self._there.pop((person, chat), None)
        return intent if intent and now < intent.expires_at else None

    def __len__(self) -> int:
        return len(self._there)


class MemoryDelegations:
    def __init__(self) -> None:
        self.there: dict[str, Delegation] = {}

    async def add(self, delegation: Delegation, *, key: str) -> None:
        if delegation.since is None or delegation.until is None or delegation.until <= delegation.since:
            raise InvalidInput("until: must be after from")
        self.there.setdefault(key, delegation)

    async def active_after(self, now: datetime) -> Sequence[Delegation]:
        return [d for d in self.there.values() if d.until and d.until > now]

    async def end(self, by: str, *, now: datetime) -> int:
        mine = [key for key, d in self.there.items() if d.by == by and d.until and d.until > now]
        for key in mine:
            del self.there[key]
        return len(mine)


class MemoryDuty:
    def __init__(self) -> None:
        self.there: dict[str, Cover] = {}

    async def put(self, cover: Cover) -> bool:
        if cover.id in self.there:
            return False
        self.there[cover.id] = cover
        return True

    async def covers(self, rota: str = "", *, since: datetime, until: datetime) -> Sequence[Cover]:
        found = [c for c in self.there.values() if rota in {"", c.rota} and c.since < until and since < c.until]
        return sorted(found, key=lambda c: c.at)


class MemoryAudit:
    def __init__(self) -> None:
        self.entries: dict[str, AuditEntry] = {}

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        for entry in entries:
            self.entries.setdefault(entry.key, entry)

    async def verify(self, *, expected_head: str = "") -> ChainReport:
        return ChainReport(entries=len(self.entries), head=expected_head)

    def read(self, *, run: str = "", gate: str = "") -> Iterable[ChainedEntry]:
        mine = (e for e in self.entries.values() if run in {"", e.run} and gate in {"", e.gate})
        return (
            ChainedEntry(**e.model_dump(), number=n, previous="", hash="") for n, e in enumerate(mine, start=1)
        )


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)
