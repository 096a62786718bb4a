"""The web page's ports in memory; decisions are checked and counted by the product's own rules."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp

from holdfast.apps.web import WebServices
from holdfast.domain import standing
from holdfast.domain.decisions import (
    ROLLBACK,
    Answer,
    CodeRequest,
    Decision,
    DecisionReply,
    Extension,
    Handover,
    RollBack,
)
from holdfast.domain.errors import EngineUnavailable, UnknownName
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Gate, GateState, Question, open_gate, record
from holdfast.domain.links import WebLinks
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.signoff import Deadline, Lapse, SignOff, Step
from holdfast.domain.view import (
    LogLine,
    MessageRef,
    MetricLine,
    RunState,
    RunView,
    StageState,
    StageView,
    VerdictView,
)
from holdfast.ports.audit import AuditEntry, ChainedEntry, ChainReport
from holdfast.ports.campaigns import KeptCampaign, KeptMoment
from holdfast.ports.identity import CodeRefused, Enrolment, Intent
from holdfast.ports.notices import Errand, Notice, Page
from holdfast.ports.reports import CampaignReport
from holdfast.ports.runs import RolloutRequest, RunLine, WaitingGate
from holdfast.slo.status import Moment

NOW = datetime(2026, 11, 21, 3, 12, 40, tzinfo=UTC)
RUN = "rollout-4f7qk2mz"
BASE_URL = "https://holdfast.example"
PEOPLE = People(
    people=(
        Person(
            name="olga", title="Olga (SRE lead)", telegram_id=1, roles=("sre-lead",), time_zone="Europe/Berlin"
        ),
        Person(name="pavel", title="Pavel (SRE lead)", telegram_id=2, roles=("sre-lead",)),
        Person(
            name="clara",
            title="Clara (client CTO)",
            email="clara@client.example",
            roles=("client-cto",),
            time_zone="America/New_York",
        ),
        Person(name="viktor", title="Viktor (security)", email="viktor@client.example", roles=("security",)),
        Person(name="lena", title="Lena (guest)", telegram_id=5),
    )
)
POLICY = SignOff(
    steps=(Step(any=1, of=("sre-lead",)), Step(all_of=("client-cto",))),
    veto=("security",),
    order="in_parallel",
    deadline=Deadline(after=timedelta(days=21), then=Lapse.REJECT),
)
EVIDENCE = Evidence(
    plan={"stage": "crm-pool", "shares_percent": [5, 25, 100]},
    file="0badcafe1234",
    risk={"scoring": "77aa"},
    target={"pool_size": 10, "keep_alive_seconds": 60, "name": "crm"},
    wanted={"pool_size": 40, "keep_alive_seconds": 15},
    taken_at=NOW - timedelta(minutes=3),
)
QUESTION = Question(
    title="stage 2, widen the CRM pool",
    question="Customers wait for the CRM in every escalation. Set pool_size = 40 (now 10)?",
    if_approved="The system is checked again, then the canary gets 5 % → 25 % → 100 % of the traffic.",
    if_rejected="The run stops here; stages promoted before stay.",
    if_nothing="Until the deadline nothing changes; after it it counts as rejected: the run stops here.",
)


def a_gate(policy: SignOff = POLICY, **changes: Any) -> Gate:
    gate = open_gate(
        "2-crm-pool",
        policy,
        QUESTION,
        EVIDENCE,
        people=PEOPLE,
        token="k3jd92ksla0a",
        now=NOW - timedelta(hours=2),
        requester="boris",
        execution="0a1b-2c3d",
    )
    return gate.model_copy(update=changes)


def a_view(gate: Gate | None = None, **changes: Any) -> RunView:
    view = RunView(
        run_id=RUN,
        runbook="support-surge",
        title="Relieve a support surge",
        digest="0badcafe1234",
        requested_by="boris",
        started_at=NOW - timedelta(hours=3),
        state=RunState.WAITING,
        headline="Stage 2 of 3, CRM pool: waits for its sign-off.",
        stages=[
            StageView(
                name="rate",
                title="Let the bot send faster",
                change="rate_limit = 25",
                state=StageState.PROMOTED,
                share_percent=100,
            ),
            StageView(
                name="pool", title="Widen the CRM pool", change="pool_size = 40", state=StageState.CURRENT
            ),
            StageView(name="queue", title="Escalate important customers first", change="priority = on"),
        ],
        gate=gate or a_gate(),
        baseline="Fri 13 Nov 03:00–04:00, 60 points",
        verdict=VerdictView(
            at=NOW - timedelta(minutes=20),
            outcome="continue",
            risk="0.15",
            reason="risk 0.15 at 100 %: crm_latency_p95 is 2.31, allowed up to 2.9 (baseline 1.20, yellow)",
            share_percent=100,
            lines=[
                MetricLine(metric="error_rate", value="0.004", baseline="0.003", used="12 %", level="green"),
                MetricLine(
                    metric="crm_latency_p95", value="2.31", baseline="1.20", used="65 %", level="yellow"
                ),
                MetricLine(metric="queue_length", value="410", baseline="92", used="131 %", level="red"),
                MetricLine(metric="cpu_memory", value="–", baseline="41", used="–", level="canary silent"),
            ],
        ),
        log=[
            LogLine(at=NOW - timedelta(minutes=180 - 30 * n), text=text)
            for n, text in enumerate(
                ["started by boris", "stage 1 approved by olga", "stage 1 promoted to 100 %", "sign-off asked"]
            )
        ],
        people=PEOPLE,
    )
    return view.model_copy(update=changes)


class MemoryRuns:
    """One run's gate without an engine.

    Attributes:
        down: the engine does not answer.
        workers: without them nothing is shown, and decisions are stored.
        counted: every decision that counted, in order.
        delivered: every decision that came, in order.
        rollbacks: every rollback that was asked for, in order.
        others: further runs, which are only shown.
    """

    def __init__(self, view: RunView, keyring: Keyring) -> None:
        self.run = view
        self.keyring = keyring
        self.now = NOW
        self.down = False
        self.workers = True
        self.counted: list[Decision] = []
        self.delivered: list[Decision] = []
        self.rollbacks: list[RollBack] = []
        self.others: dict[str, RunView] = {}
        self.replies: dict[str, DecisionReply] = {}

    async def decide(self, run_id: str, decision: Decision) -> DecisionReply:
        self._answer(run_id)
        self.delivered.append(decision)
        if not self.workers:
            return DecisionReply(answer=Answer.STORED, gate=decision.gate, text="Stored. No worker is up now.")
        if decision.id in self.replies:
            return self.replies[decision.id]
        gate = self.run.gate
        execution = gate.execution if gate else ""
        self.keyring.check(decision, run=run_id, execution=execution, now=self.now)
        placed = standing.check(
            decision, gate, closed=self.run.closed_gates, people=self.run.people, now=self.now
        )
        assert gate is not None
        self.counted.append(placed)
        reply = self.replies[decision.id] = record(placed, gate, now=self.now)
        if gate.state is not GateState.OPEN:
            self.close()
        return reply

    async def roll_back(self, run_id: str, request: RollBack) -> DecisionReply:
        self._answer(run_id)
        if not self.workers:
            self.rollbacks.append(request)
            return DecisionReply(answer=Answer.STORED, gate=ROLLBACK, text="Stored. No worker is up now.")
        self.keyring.check(request, run=run_id, execution="0a1b-2c3d", now=self.now)
        self.rollbacks.append(request)
        self.run.state = RunState.ROLLING_BACK
        return DecisionReply(answer=Answer.ACCEPTED, gate=ROLLBACK, text="Rolling back.")

    def close(self) -> None:
        assert self.run.gate is not None
        self.run.closed_gates.append(self.run.gate)
        self.run.gate = None

    async def view(self, run_id: str) -> RunView:
        if run_id in self.others:
            return self.others[run_id]
        self._answer(run_id)
        if not self.workers:
            raise EngineUnavailable("the run does not answer: no worker is up")
        return self.run.model_copy(deep=True)

    def _answer(self, run_id: str) -> None:
        if self.down:
            raise EngineUnavailable("Temporal does not answer")
        if run_id != self.run.run_id:
            raise UnknownName("run", run_id, [self.run.run_id])

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        raise NotImplementedError

    async def extend(self, run_id: str, extension: Extension) -> DecisionReply:
        raise NotImplementedError

    async def hand_over(self, run_id: str, handover: Handover) -> DecisionReply:
        raise NotImplementedError

    async def send_code(self, run_id: str, request: CodeRequest) -> DecisionReply:
        raise NotImplementedError

    async def waiting(self, person: str = "", *, limit: int = 50) -> list[WaitingGate]:
        raise NotImplementedError

    async def recent(self, *, limit: int = 20) -> list[RunLine]:
        raise NotImplementedError

    async def result(self, run_id: str) -> dict[str, Any]:
        raise NotImplementedError


class MemorySecondFactor:
    """Real codes of authenticator apps, each good once."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.used: set[tuple[str, str]] = set()

    def app_of(self, person: str) -> pyotp.TOTP:
        return pyotp.TOTP(self.secrets.setdefault(person, pyotp.random_base32()))

    def wrong_code(self, person: str, now: datetime) -> str:
        good = {self.app_of(person).at(now, counter_offset=n) for n in (-1, 0, 1)}
        return next(code for code in (f"{n:06}" for n in range(9)) if code not in good)

    async def enrolled(self, person: str) -> bool:
        return person in self.secrets

    async def verify(self, person: str, code: str, *, now: datetime) -> None:
        if person not in self.secrets or not self.app_of(person).verify(code, for_time=now):
            raise CodeRefused("That code is wrong. Wait for the next one in your authenticator app.")
        if (person, code) in self.used:
            raise CodeRefused("That code was used already. Wait for the next one.")
        self.used.add((person, code))

    async def enrol(self, person: str, *, now: datetime) -> Enrolment:
        raise NotImplementedError

    async def confirm(self, person: str, code: str, *, now: datetime) -> None:
        raise NotImplementedError

    async def remove(self, person: str) -> bool:
        return self.secrets.pop(person, None) is not None


class MemoryIntents:
    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Intent] = {}

    async def put(self, intent: Intent) -> None:
        self.kept[intent.person, intent.chat] = intent

    async def peek(self, person: str, chat: str, *, now: datetime) -> Intent | None:
        intent = self.kept.get((person, chat))
        return intent if intent and now < intent.expires_at else None

    async def take(self, person: str, chat: str, *, now: datetime) -> Intent | None:
        intent = self.kept.pop((person, chat), None)
        return intent if intent and now < intent.expires_at else None


class MemoryAudit:
    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        known = {e.key for e in self.entries}
        self.entries += [e for e in entries if e.key not in known]

    async def verify(self, *, expected_head: str = "") -> ChainReport:
        raise NotImplementedError

    def read(self, *, run: str = "", gate: str = "") -> Iterable[ChainedEntry]:
        raise NotImplementedError


class MemoryMail:
    """Mailboxes.

    Attributes:
        fails: raised instead of delivering.
        sent: address, text, what is to be copied.
    """

    name = "email"

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.sent: list[tuple[str, str, str]] = []

    def reaches(self, person: Person) -> bool:
        return bool(person.email)

    async def say(self, person: Person, text: str, *, paste: str = "") -> None:
        if self.fails:
            raise self.fails
        self.sent.append((person.email, text, paste))

    async def notify(self, person: Person, notice: Notice) -> MessageRef:
        raise NotImplementedError

    async def page(self, person: Person, page: Page) -> MessageRef:
        raise NotImplementedError

    async def errand(self, person: Person, errand: Errand) -> MessageRef:
        raise NotImplementedError

    async def retire(self, message: MessageRef, text: str) -> None:
        raise NotImplementedError


class MemoryCampaigns:
    """What is kept of campaigns, by run."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptCampaign] = {}

    async def campaign(self, run: str) -> KeptCampaign | None:
        return self.kept.get(run)

    async def keep(self, campaign: KeptCampaign) -> None:
        self.kept[campaign.run] = campaign

    async def saw(self, moments: Sequence[KeptMoment]) -> None:
        raise NotImplementedError

    async def moments(
        self, run: str, *, since: datetime | None = None, limit: int | None = None
    ) -> list[Moment]:
        raise NotImplementedError

    async def campaigns(self, campaign: str = "", *, limit: int = 20) -> list[KeptCampaign]:
        raise NotImplementedError


class MemoryReports:
    """Reports of what is kept, in one line.

    Attributes:
        built: run and language of each.
        html: another report in place of the line.
    """

    def __init__(self, campaigns: MemoryCampaigns) -> None:
        self.campaigns = campaigns
        self.built: list[tuple[str, str]] = []
        self.html = ""

    async def build(self, run: str, *, language: str = "en") -> CampaignReport:
        if run not in self.campaigns.kept:
            raise UnknownName("kept campaign", run, self.campaigns.kept)
        self.built.append((run, language))
        html = self.html or f"<!doctype html><style>h1{{color:#14703c}}</style><h1>How {run} went</h1>"
        return CampaignReport(run=run, campaign="sale", title="Sale", language=language, html=html, png=b"")


class House:
    """Everything around the page, with a clock that can be moved."""

    def __init__(self, view: RunView | None = None) -> None:
        self.now = NOW
        self.keyring = Keyring(["the secret of this test house"])
        self.runs = MemoryRuns(view or a_view(), self.keyring)
        self.second_factor = MemorySecondFactor()
        self.intents = MemoryIntents()
        self.audit = MemoryAudit()
        self.mail = MemoryMail()
        self.campaigns = MemoryCampaigns()
        self.reports = MemoryReports(self.campaigns)
        self.links = WebLinks(self.keyring, BASE_URL)
        self.chart: bytes | Exception | None = None
        self.draw: Callable[[RunView], bytes | None] | None = None
        self.broken: Exception | None = None

    def pass_time(self, span: timedelta) -> None:
        self.now += span
        self.runs.now = self.now

    def link(self, person: str = "olga", *, base_url: str = BASE_URL) -> str:
        gate = self.runs.run.gate or self.runs.run.closed_gates[-1]
        return WebLinks(self.keyring, base_url).link(RUN, gate, person, self.now)

    def services(self, *, email: bool = True) -> WebServices:
        return WebServices(
            runs=self.runs,
            people=self._people,
            keyring=self.keyring,
            second_factor=self.second_factor,
            intents=self.intents,
            audit=self.audit,
            links=self.links,
            render_chart=self._chart,
            email=self.mail if email else None,
            channels=[self.mail] if email else [],
            campaigns=self.campaigns,
            reports=self.reports,
            now=lambda: self.now,
        )

    def _people(self) -> People:
        if self.broken:
            raise self.broken
        return PEOPLE

    def _chart(self, view: RunView) -> bytes | None:
        if self.draw:
            return self.draw(view)
        if isinstance(self.chart, Exception):
            raise self.chart
        return self.chart
