"""The calling activities over in-memory ports, at a moment of the server's time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.calling import (
    CallingActivities,
    CallRequest,
)
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Gate, Question, open_gate
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.signoff import SignOff
from holdfast.ports.audit import AuditKind
from holdfast.ports.notices import NoticeKind
from tests.activities.gate_fakes import MemoryAudit, MemoryBook, RecordingChannel

OPENED = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # a Friday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEYS = Keyring(["a secret for tests only"])
REQUEST, REMINDER, WARNING = NoticeKind.REQUEST, NoticeKind.REMINDER, NoticeKind.WARNING
BORIS = Person(
    name="boris", title="Boris (SRE lead)", telegram_id=2, roles=("lead",), time_zone="Europe/Berlin"
)
VERA = Person(name="vera", title="Vera", email="vera@example.com", roles=("lead",))
GLEB = Person(name="gleb", title="Gleb", telegram_id=4, email="gleb@example.com", roles=("client",))
NOBODY = Person(name="nina", title="Nina", roles=("lead",))


def ask(*people: Person, mfa: bool = False, token: str = "tok", **policy: Any) -> Gate:
    sign_off = SignOff.model_validate({"approvers": ["lead"], "remind": {"then_every": "1d"}, **policy})
    question = Question(title="t", question="q", if_approved="on", if_rejected="stop", if_nothing="wait")
    return open_gate(
        "1-limit",
        sign_off,
        question,
        Evidence(taken_at=OPENED),
        people=People(people=people),
        token=token,
        now=OPENED,
        mfa=mfa,
        execution="e1",
    )


@dataclass
class Desk:
    """The activities over in-memory ports, at a moment of the server's time."""

    people: tuple[Person, ...] = (BORIS, VERA)
    now: datetime = OPENED
    telegram: RecordingChannel = field(default_factory=RecordingChannel)
    email: RecordingChannel = field(default_factory=lambda: RecordingChannel("email"))
    book: MemoryBook = field(default_factory=MemoryBook)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    once_by_key: tuple[str, ...] = ()

    @property
    def activities(self) -> CallingActivities:
        return CallingActivities(
            [self.telegram, self.email],
            self.book,
            self.audit,
            keyring=KEYS,
            run_url=lambda run_id: f"http://ui/{run_id}",
            link_for=lambda run_id, gate, person: f"http://web/{run_id}/{gate.id}/{person.name}",
            once_by_key=self.once_by_key,
        )

    async def run(self, method: Callable[[Any], Awaitable[Any]], request: Any) -> Any:
        environment = ActivityEnvironment()
        environment.info = replace(
            environment.info, current_attempt_scheduled_time=self.now - HOUR, started_time=self.now
        )
        return await environment.run(method, request)

    async def call(self, gate: Gate) -> ApplicationError | None:
        """Make one attempt and return the failure that waits for the next one."""
        request = CallRequest(run_id="run-1", run_title="A run", gate=gate, people=People(people=self.people))
        try:
            await self.run(self.activities.call_people, request)
        except ApplicationError as failure:
            return failure
        return None

    async def live(self, gate: Gate, *, attempts: int) -> None:
        """Make several attempts, each when the one before wanted it."""
        for _ in range(attempts):
            failure = await self.call(gate)
            assert failure is not None
            assert failure.next_retry_delay is not None
            self.now += failure.next_retry_delay

    def recorded(self) -> list[tuple[AuditKind, str, str]]:
        return [(e.kind, e.person, e.data["state"]) for e in self.audit.entries]
