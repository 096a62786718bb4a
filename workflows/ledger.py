"""What a run has to put on record about its gates, and does before it acts on them."""

from datetime import timedelta
from typing import Any, cast

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import options
from workflows.calls import call, reason

with workflow.unsafe.imports_passed_through():
    from activities.signing import AuditBatch, RecordActivities
    from holdfast.domain.decisions import Decision, RollBack, Signed
    from holdfast.domain.errors import DecisionRefused
    from holdfast.domain.gates import Gate
    from holdfast.domain.words import Act, Word
    from holdfast.ports.audit import AuditEntry, AuditKind


class Ledger:
    """Collects audit entries of one run, in order, until they are written; off in runs of the first version."""

    def __init__(self) -> None:
        """Begin with nothing to write."""
        self.on = False
        self._entries: list[AuditEntry] = []
        self._writing: list[AuditEntry] = []

    def note(self, kind: AuditKind, gate: Gate, text: str, *, said: Signed | None = None) -> None:
        """Keep one entry for the next writing."""
        if not self.on:
            return
        # Random as the run's own, so that a replayed step gives the same key again.
        self._entries.append(
            AuditEntry(
                key=f"{workflow.info().workflow_id}/{gate.id}/{kind}/{workflow.uuid4().hex[:12]}",
                at=workflow.now(),
                kind=kind,
                run=workflow.info().workflow_id,
                gate=gate.id,
                person=said.by if said else "",
                channel=said.channel if said else "",
                text=text,
                data=_data(gate, said),
            )
        )

    def note_rollback(self, request: RollBack, text: str) -> None:
        """Keep who asked for a rollback, for the next writing."""
        if not self.on:
            return
        run = workflow.info().workflow_id
        self._entries.append(
            AuditEntry(
                key=f"{run}/rollback/{workflow.uuid4().hex[:12]}",
                at=workflow.now(),
                kind=AuditKind.ROLLBACK,
                run=run,
                gate=request.gate,
                person=request.by,
                channel=request.channel,
                text=f"{request.by}: {text}",
                data={"to": request.to, "reason": request.reason, "proofs": list(request.proofs)},
            )
        )

    def note_word(self, word: Word, text: str) -> None:
        """Keep what somebody said, for the next writing."""
        self.note_event(_kind_of(word), f"{word.by}: {text}", said=word)

    def note_event(self, kind: AuditKind, text: str, *, said: Word | None = None) -> None:
        """Keep what happened to the run, whether or not somebody said it, for the next writing."""
        if not self.on:
            return
        run, what = workflow.info().workflow_id, said.act if said else kind
        self._entries.append(
            AuditEntry(
                key=f"{run}/{what}/{workflow.uuid4().hex[:12]}",
                at=workflow.now(),
                kind=kind,
                run=run,
                gate=said.act if said else "",
                person=said.by if said else "",
                channel=said.channel if said else "",
                text=text,
                data=_said(said) if said else {},
            )
        )

    def refusal(self, message: Any, refusal: DecisionRefused, gate: Gate | None, *, key: str) -> AuditEntry:
        """Return the entry of a decision that did not count."""
        said = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
        run = workflow.info().workflow_id
        unique = key or f"{workflow.now().timestamp()}"
        return AuditEntry(
            key=f"{run}/refusal/{unique}",
            at=workflow.now(),
            kind=AuditKind.REFUSAL,
            run=run,
            gate=str(said.get("gate", "")) or (gate.id if gate else ""),
            person=str(said.get("by", ""))[:64],
            channel=str(said.get("channel", "temporal-ui"))[:32],
            text=str(refusal)[:1000],
            data={"answer": refusal.answer, "claimed": True},
        )

    async def keep_writing(self) -> None:
        """Write whatever there is, in order, until cancelled; waits while the store does not answer."""
        while True:
            await workflow.wait_condition(lambda: bool(self._entries))
            await workflow.sleep(options.RECORD_PAUSE)
            self._writing, self._entries = self._entries, []
            await self._write(self._writing)
            self._writing = []

    @property
    def is_written(self) -> bool:
        """Whether everything is on record."""
        return not self._entries and not self._writing

    async def written(self, *, give_up_after: timedelta | None = None) -> None:
        """Wait until everything is on record.

        Raises:
            TimeoutError: it is not, after as long as was given.
        """
        await workflow.wait_condition(lambda: not self._entries and not self._writing, timeout=give_up_after)

    async def _write(self, entries: list[AuditEntry]) -> None:
        while True:
            try:
                await call(
                    RecordActivities.record_audit,
                    AuditBatch(entries=entries),
                    returns=type(None),
                    task_queue=options.RECORD_QUEUE,
                    summary=f"on record: {', '.join(dict.fromkeys(str(e.kind) for e in entries))}",
                )
            except ActivityError as error:
                # Nothing is acted on meanwhile, so somebody will look.
                workflow.logger.error("the audit log refuses an entry: %s", reason(error))
                await workflow.sleep(options.CHAT_BREAK)
            else:
                return


def _kind_of(word: Word) -> AuditKind:
    match word.act:
        case Act.HAND_OVER:
            return AuditKind.DELEGATION
        case Act.RESOLVE:
            return AuditKind.CLOSING
        case _:
            return AuditKind.DECISION


def _said(word: Word) -> dict[str, Any]:
    return {
        "action": word.action,
        "to": word.to,
        "reason": word.reason,
        "proofs": list(word.proofs),
        "id": word.id,
    }


def _data(gate: Gate, said: Signed | None) -> dict[str, Any]:
    data: dict[str, Any] = {"evidence": gate.evidence, "state": gate.state, "execution": gate.execution}
    if said is not None:
        data |= {"action": said.action, "proofs": list(said.proofs), "reason": said.reason, "id": said.id}
    if isinstance(said, Decision):
        data |= {"on_behalf_of": said.on_behalf_of, "how": said.how, "step": said.step}
    return data
