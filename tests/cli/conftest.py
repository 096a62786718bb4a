"""The command line over real files and an in-memory port to the runs."""

import asyncio
import io
import json
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cyclopts import App

from holdfast.apps.cli import CliDeps, main
from holdfast.apps.cli.exits import sentences
from holdfast.apps.cli.inventory import InventoryDeps
from holdfast.apps.cli.load import LoadDeps
from holdfast.apps.cli.outbox import OutboxDeps
from holdfast.apps.cli.plan import PlanDeps
from holdfast.apps.cli.records import RecordDeps
from holdfast.apps.cli.report import ReportDeps
from holdfast.apps.cli.schedule import ScheduleDeps
from holdfast.apps.cli.slo import SloDeps
from holdfast.apps.cli.verdict_backtest import BacktestDeps
from holdfast.apps.cli.verdict_compare import CompareDeps
from holdfast.apps.cli.verdict_correlate import CorrelateDeps
from holdfast.apps.cli.verdict_explain import ExplainDeps
from holdfast.apps.cli.verdicts import VerdictDeps
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
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, Unavailable, UnknownName
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Gate, Question
from holdfast.domain.pasting import sealed
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import CODE_GOOD_FOR, Keyring
from holdfast.domain.signoff import SignOff
from holdfast.domain.view import LogLine, RunState, RunView, StageView
from holdfast.domain.words import Act, Word, check_word
from holdfast.ports.duty import Cover
from holdfast.ports.runs import (
    CampaignRequest,
    IncidentRequest,
    LoadRequest,
    RolloutRequest,
    RunLine,
    UndoRequest,
    WaitingGate,
)
from holdfast.runbook.library import RunbookLibrary

ROOT = Path(__file__).resolve().parents[2]
RUN = "rollout-aaaaaaaa"
EXECUTION = "0198-execution"
GATE = "1-bot-rate-limit"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PEOPLE = People(
    people=(
        Person(name="anna", title="Anna (on call)", telegram_id=1001, roles=("oncall",)),
        Person(name="boris", title="Boris (SRE lead)", telegram_id=1002, roles=("sre-lead",)),
        Person(name="vera", title="Vera (CRM owner)", telegram_id=1003, roles=("crm-owner",)),
        Person(name="gleb", title="Gleb (head of support)", telegram_id=1004, roles=("support-head",)),
    )
)
QUESTION = Question(
    title="stage 1, Let the bot send faster",
    question="Set bot_rate_limit_per_s = 25 (now 5)?",
    if_approved="The canary gets 5 % of the traffic.",
    if_rejected="The run stops here.",
    if_nothing="The run waits.",
)
EVIDENCE = Evidence(target={"bot_rate_limit_per_s": 5}, wanted={"bot_rate_limit_per_s": 25}, taken_at=NOW)


def not_asked_for() -> NoReturn:
    pytest.fail("this command needs no records")


@asynccontextmanager
async def without_a_store() -> AsyncIterator[Any]:
    raise Unavailable("the database does not answer")
    yield


NO_RECORDS = RecordDeps(audit=not_asked_for, second_factor=not_asked_for, people=not_asked_for)
NO_VERDICTS = VerdictDeps(
    explain=ExplainDeps(run_control=not_asked_for, draw=not_asked_for, release_verdict=not_asked_for),
    backtest=BacktestDeps(read=not_asked_for, series=not_asked_for, library=not_asked_for, draw=not_asked_for),
    compare=CompareDeps(log=not_asked_for, draw=not_asked_for, people=not_asked_for),
    correlate=CorrelateDeps(series=not_asked_for, library=not_asked_for, draw=not_asked_for),
)
NO_PLAN = PlanDeps(library=not_asked_for, providers=not_asked_for, metrics=not_asked_for)
NO_DUTY = not_asked_for
NO_OUTBOX = OutboxDeps(
    store=not_asked_for,
    priorities=not_asked_for,
    bot=not_asked_for,
    people=not_asked_for,
    rules=not_asked_for,
    audit=not_asked_for,
)
# What only campaigns and load tests need of `CliDeps`.
NO_CAMPAIGNS: dict[str, Any] = {
    "load": LoadDeps(
        library=not_asked_for,
        limits=not_asked_for,
        secrets=not_asked_for,
        draw=not_asked_for,
        watching=without_a_store,
    ),
    "slo": SloDeps(library=not_asked_for, metrics=not_asked_for),
    "schedule": ScheduleDeps(library=not_asked_for, schedules=not_asked_for),
    "report": ReportDeps(campaigns=not_asked_for, reports=not_asked_for),
    "inventory": InventoryDeps(library=not_asked_for, taking=not_asked_for),
    "start_load": not_asked_for,
}


def open_gate(*, since: datetime = NOW, people: People = PEOPLE, **policy: Any) -> Gate:
    return gates.open_gate(
        GATE,
        SignOff.model_validate(policy or {"approvers": ["sre-lead"]}),
        QUESTION,
        EVIDENCE,
        people=people,
        token="do-not-show-me",
        now=since,
        requester="anna",
        execution=EXECUTION,
    )


def waiting_run() -> RunView:
    return RunView(
        run_id=RUN,
        runbook="support-surge",
        title="Relieve a support surge",
        digest="0123456789ab",
        requested_by="anna",
        started_at=NOW,
        state=RunState.WAITING,
        headline="stage 1, Let the bot send faster",
        stages=[
            StageView(
                name="bot-rate-limit", title="Let the bot send faster", change="bot_rate_limit_per_s = 25"
            )
        ],
        gate=open_gate(),
        people=PEOPLE,
        log=[LogLine(at=NOW, text="started by anna")],
    )


@dataclass
class MemoryDuty:
    """Covers in the order in which they were arranged."""

    kept: list[Cover] = field(default_factory=list)
    down: bool = False

    async def put(self, cover: Cover) -> bool:
        self.kept.append(cover)
        return True

    async def covers(self, rota: str = "", *, since: datetime, until: datetime) -> Sequence[Cover]:
        if self.down:
            raise Unavailable("the database does not answer")
        touching = (c for c in self.kept if c.since < until and c.until > since)
        return [c for c in touching if rota in {"", c.rota}]


@dataclass
class MemoryRuns:
    """Implements `RunControl` by the real rules for runs that live in this process.

    Attributes:
        script: changes the view, one at each look.
        chats: what each person was sent in private.
        on_code: called with the JSON when one is sent.
        rolled_back: every rollback that was asked for and counted.
        undone: every run that was started to undo an ended one, with its id.
        opened: every incident, by its id.
        campaigns, loads: every campaign and every load test that was started, by its id.
        said: every word that counted, with its run.
    """

    views: dict[str, RunView] = field(default_factory=dict)
    started: dict[str, RolloutRequest] = field(default_factory=dict)
    script: list[Callable[[RunView], None]] = field(default_factory=list)
    chats: dict[str, list[str]] = field(default_factory=dict)
    on_code: Callable[[str], None] = lambda _: None
    down: bool = False
    looks_while_down: int = 0
    rolled_back: list[RollBack] = field(default_factory=list)
    undone: list[tuple[UndoRequest, str]] = field(default_factory=list)
    opened: dict[str, IncidentRequest] = field(default_factory=dict)
    campaigns: dict[str, CampaignRequest] = field(default_factory=dict)
    loads: dict[str, LoadRequest] = field(default_factory=dict)
    said: list[tuple[str, Word]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    keyring: Keyring = field(default_factory=lambda: Keyring([secrets.token_hex(16)]))

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        self._answer()
        self.started[run_id] = request
        self.views[run_id] = waiting_run().model_copy(update={"run_id": run_id})
        return True

    async def open_incident(self, request: IncidentRequest, *, run_id: str) -> bool:
        self._answer()
        self.opened[run_id] = request
        return True

    async def start_campaign(self, request: CampaignRequest, *, run_id: str) -> bool:
        self._answer()
        self.campaigns[run_id] = request
        return True

    async def start_load(self, request: LoadRequest, *, run_id: str) -> bool:
        self._answer()
        self.loads[run_id] = request
        self.views[run_id] = waiting_run().model_copy(update={"run_id": run_id, "kind": "load", "gate": None})
        return True

    async def say(self, run_id: str, word: Word) -> DecisionReply:
        view = self._view(run_id)
        self.keyring.check(word, run=run_id, execution=EXECUTION, now=datetime.now(UTC))
        check_word(word, view)
        self.said.append((run_id, word))
        return DecisionReply(answer=Answer.ACCEPTED, gate=word.gate, text="Done.")

    async def decide(self, run_id: str, decision: Decision) -> DecisionReply:
        view, now = self._checked(run_id, decision)
        context = {"closed": view.closed_gates, "people": view.people, "now": now}
        counted = standing.check(decision, view.gate, **context)
        reply = gates.record(counted, view.gate, now=now)
        if view.gate.closed_at:
            view.closed_gates.append(gates.slim(view.gate))
            view.gate = None
        return reply

    async def extend(self, run_id: str, extension: Extension) -> DecisionReply:
        view, now = self._checked(run_id, extension)
        standing.check_extension(extension, view.gate, closed=view.closed_gates, people=view.people, now=now)
        return gates.extend(extension, view.gate)

    async def hand_over(self, run_id: str, handover: Handover) -> DecisionReply:
        view, now = self._checked(run_id, handover)
        standing.check_handover(handover, view.gate, closed=view.closed_gates, people=view.people, now=now)
        return gates.hand_over(handover, view.gate, now)

    async def undo(self, request, *, run_id):
        self.undone.append((request, run_id))
        return True

    async def roll_back(self, run_id: str, request: RollBack) -> DecisionReply:
        view = self._view(run_id)
        if self.looks_while_down:
            return DecisionReply(answer=Answer.STORED, gate=request.gate, text="Stored. No worker is up.")
        self.keyring.check(request, run=run_id, execution=EXECUTION, now=datetime.now(UTC))
        view.state = RunState.ROLLING_BACK
        self.rolled_back.append(request)
        return DecisionReply(answer=Answer.ACCEPTED, gate=ROLLBACK, text="Rolling back.")

    async def send_code(self, run_id: str, request: CodeRequest) -> DecisionReply:
        view = self._view(run_id)
        if request.gate == ROLLBACK:
            return self._send_code_for_rollback(view, request)
        if request.gate in set(Act):
            return self._send_code_for_word(view, request)
        if view.gate is None or not standing.may_say(request, view.gate, view.people, datetime.now(UTC)):
            raise DecisionRefused(Answer.NOT_AN_APPROVER, f"'{request.by}' is not asked.")
        text = self.paste(request, run_id)
        self.chats.setdefault(request.by, []).append(text)
        self.on_code(text)
        return DecisionReply(
            answer=Answer.ACCEPTED, gate=view.gate.id, text=f"A code was sent to {request.by}'s private chat."
        )

    def _send_code_for_rollback(self, view: RunView, request: CodeRequest) -> DecisionReply:
        if request.by not in view.may_roll_back:
            raise DecisionRefused(Answer.NOT_AN_APPROVER, f"'{request.by}' may not roll this run back.")
        text = self.paste_for_rollback(request, view.run_id)
        self.chats.setdefault(request.by, []).append(text)
        self.on_code(text)
        told = f"A code was sent to {request.by}'s private chat."
        return DecisionReply(answer=Answer.ACCEPTED, gate=ROLLBACK, text=told)

    def _send_code_for_word(self, view: RunView, request: CodeRequest) -> DecisionReply:
        text = self.paste_for_word(request, view)
        self.chats.setdefault(request.by, []).append(text)
        self.on_code(text)
        told = f"A code was sent to {request.by}'s private chat."
        return DecisionReply(answer=Answer.ACCEPTED, gate=request.gate, text=told)

    def paste_for_word(self, request: CodeRequest, view: RunView) -> str:
        """What the bot sends for a word."""
        word = Word(
            act=Act(request.gate), by=request.by, to=request.to, reason=request.reason, proofs=("code",)
        )
        check_word(word, view)
        return sealed(self.keyring, view.run_id, EXECUTION, word, now=datetime.now(UTC))

    def paste_for_rollback(self, request: CodeRequest, run_id: str = RUN) -> str:
        """What the bot sends for a rollback."""
        said = RollBack(by=request.by, to=request.to, reason=request.reason, proofs=("code",))
        return sealed(self.keyring, run_id, EXECUTION, said, now=datetime.now(UTC))

    def paste(self, request: CodeRequest, run_id: str = RUN) -> str:
        """What the bot sends."""
        gate = self.views[run_id].gate
        asked: dict[str, Any] = {
            "gate": gate.id,
            "by": request.by,
            "evidence": gate.evidence,
            "reason": request.reason,
            "proofs": ("code",),
            "expires_at": (datetime.now(UTC) + CODE_GOOD_FOR).replace(microsecond=0),
        }
        if request.to:
            said: Signed = Handover(to=request.to, until=request.until, **asked)
        elif request.until:
            said = Extension(until=request.until, **asked)
        else:
            said = Decision(decision=request.decision, **asked)
        signed = self.keyring.signed(said, run=run_id, execution=gate.execution)
        names = {*asked, "code", *({"decision"} if isinstance(said, Decision) else {"to", "until"})}
        shown = signed.model_dump(mode="json", include=names, exclude_none=True)
        return json.dumps(shown | {"proofs": "code"}, indent=2)

    async def waiting(self, person: str = "", *, limit: int = 50) -> list[WaitingGate]:
        self._answer()
        now = datetime.now(UTC)
        found = [
            WaitingGate(
                run_id=run_id,
                runbook=view.runbook,
                title=view.title,
                gate=view.gate,
                waiting=standing.waiting_for(view.gate, view.people, now),
            )
            for run_id, view in self.views.items()
            if view.gate
        ]
        return [w for w in found if not person or person in w.waiting][:limit]

    async def view(self, run_id: str) -> RunView:
        if self.looks_while_down:
            self.looks_while_down -= 1
            raise EngineUnavailable("the Temporal server does not answer")
        view = self._view(run_id)
        if self.script:
            self.script.pop(0)(view)
        if view.state.ended:
            self.ended.set()
        return view

    async def recent(self, *, limit: int = 20) -> list[RunLine]:
        self._answer()
        lines = [
            RunLine(run_id=i, runbook=v.runbook, status=v.state, started_at="now", kind=v.kind)
            for i, v in self.views.items()
        ]
        return lines[:limit]

    async def result(self, run_id: str) -> dict[str, Any]:
        await self.ended.wait()
        return {"outcome": str(self._view(run_id).state)}

    def _checked(self, run_id: str, said: Signed) -> tuple[RunView, datetime]:
        view, now = self._view(run_id), datetime.now(UTC)
        gates.check_open(said, view.gate, closed=view.closed_gates, now=now)
        self.keyring.check(said, run=run_id, execution=EXECUTION, now=now)
        return view, now

    def _view(self, run_id: str) -> RunView:
        self._answer()
        if run_id not in self.views:
            raise UnknownName("run", run_id, self.views)
        return self.views[run_id]

    def _answer(self) -> None:
        if self.down:
            raise EngineUnavailable("the Temporal server does not answer: nobody listens on 127.0.0.1:7233")


@dataclass
class Told:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def told_by(app: App, tokens: Iterable[str | Path], capsys: pytest.CaptureFixture[str]) -> Told:
    """Run one command of a part of the command line."""
    with pytest.raises(SystemExit) as ended, sentences():
        app(list(map(str, tokens)))
    written = capsys.readouterr()
    return Told(int(ended.value.code or 0), written.out, written.err)


@pytest.fixture
def library() -> RunbookLibrary:
    return RunbookLibrary([ROOT / "runbooks"])


@pytest.fixture
def runs() -> MemoryRuns:
    return MemoryRuns({RUN: waiting_run()})


@pytest.fixture
def served() -> list[str]:
    """The processes that commands started, by name."""
    return []


@pytest.fixture
def book() -> MemoryDuty:
    return MemoryDuty()


@pytest.fixture
def lent(runs, book) -> dict[str, Any]:
    """What `CliDeps` lends to one command at a time."""

    @asynccontextmanager
    async def run_control() -> AsyncIterator[MemoryRuns]:
        yield runs

    @asynccontextmanager
    async def duty() -> AsyncIterator[MemoryDuty]:
        yield book

    return {"run_control": run_control, "duty": duty}


@pytest.fixture
def holdfast(library, lent, served, capsys, monkeypatch) -> Callable[..., Told]:
    """Run one command as a person would, with `piped` on its standard input."""

    def command(*tokens: str, directories: list[Path] | None = None, piped: str | None = "") -> Told:
        if piped is not None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(piped))
        deps = CliDeps(
            library=lambda: RunbookLibrary(directories) if directories else library,
            **lent,
            ui_url=lambda run_id: f"http://ui/{run_id}",
            start_worker=lambda: served.append("worker"),
            start_bot=lambda: served.append("bot"),
            start_web=lambda: served.append("web"),
            records=NO_RECORDS,
            verdicts=NO_VERDICTS,
            plan=NO_PLAN,
            outbox=NO_OUTBOX,
            **NO_CAMPAIGNS | {"start_load": lambda: served.append("load")},
        )
        with pytest.raises(SystemExit) as ended:
            main(deps, tokens)
        written = capsys.readouterr()
        return Told(int(ended.value.code or 0), written.out, written.err)

    return command
