"""Hears what people say to the open gate of a run: whether it counts, for whom, and who has proven to say it.

The rules are those of `holdfast.domain.standing`; every channel comes through here.
"""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows import options
from workflows.calls import call
from workflows.gate import GateKeeper

with workflow.unsafe.imports_passed_through():
    from activities.calling import CallingActivities
    from activities.codes import CodeDelivery
    from activities.guard import guard
    from activities.signing import Signalled, SignalProof, SigningActivities
    from holdfast.domain import decisions, gates, run_phrases, standing
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
    from holdfast.domain.errors import DecisionRefused
    from holdfast.domain.gates import Gate, GateState
    from holdfast.domain.proofs import OWN_CHANNELS
    from holdfast.domain.undoing import check_roll_back
    from holdfast.domain.words import Act, Word, check_word
    from holdfast.ports.audit import AuditKind

# The newest replies are kept so that a repeated delivery of a decision gets its first answer again.
_REPLIES_KEPT = 100


class Hearing:
    """Checks and records what people say to the gates of a keeper; `replies` goes into a continued run."""

    def __init__(self, keeper: GateKeeper, replies: dict[str, DecisionReply] | None = None) -> None:
        """Hear for this keeper's gates."""
        self._keeper = keeper
        self.replies = replies or {}

    def validate(self, message: Any, model: type[Signed] = Decision, *, act: str = "") -> None:
        """Refuse what does not count; the text of the error is what the person reads.

        Args:
            message: any JSON.
            model: what it has to be.
            act: of a word, what it has to say.

        Raises:
            ApplicationError: its type is an `Answer`.
        """
        try:
            said = decisions.parse(model, message)
            _check_act(said, act)
            self._check(said)
        except DecisionRefused as refusal:
            self._keep_refusal(message, refusal)
            raise ApplicationError(str(refusal), type=refusal.answer, non_retryable=True) from None

    def decide(self, message: Any) -> DecisionReply:
        """Record a decision that `validate` has let through."""
        return self._record(decisions.parse_decision(message))

    def answered(self, said: Signed, reply: DecisionReply) -> DecisionReply:
        """Keep the reply, so that a repeated delivery gets it again, and put rollbacks and words on record."""
        keys = [said.id] if said.id else []
        if isinstance(said, Word):
            keys.append(_once(said))
        self.replies = dict([*self.replies.items(), *((key, reply) for key in keys)][-_REPLIES_KEPT:])
        if isinstance(said, RollBack):
            self._keeper.ledger.note_rollback(said, reply.text)
        if isinstance(said, Word):
            self._keeper.ledger.note_word(said, reply.text)
        return reply

    async def refused_signal(self, message: Any, model: type[Signed], *, signal: str) -> str:
        """Return why a message of this signal does not count; empty when it does."""
        try:
            said = decisions.parse(model, message)
            _check_act(said, signal)
            if not (said.id and said.id in self.replies):
                await self._proven(message, signal=signal)
                if not (said.id and said.id in self.replies):  # its twin may have come by another way meanwhile
                    self._check_anew(said)
        except DecisionRefused as refusal:
            self._keep_refusal(message, refusal)
            return f"a signalled {model.__name__.lower()} did not count: {refusal}"
        return ""

    async def decide_signalled(self, message: Any) -> str:
        """Record a signalled decision, or return why it did not count: a signal's sender gets no answer."""
        try:
            said = decisions.parse_decision(message)
            if said.id and said.id in self.replies:
                return self.replies[said.id].text
            proof = await self._proven(message)
            if said.id and said.id in self.replies:  # its twin has come by another way meanwhile
                return self.replies[said.id].text
            standing.check(said, self._keeper.gate, **self._context())
        except DecisionRefused as refusal:
            self._keep_refusal(message, refusal)
            return f"a signalled decision did not count: {refusal}"
        extra = (f"principal {proof.principal}",) if proof.principal else ()
        return self._record(said.model_copy(update={"proofs": (*said.proofs, *extra)})).text

    def decide_unproven(self, message: Any) -> str:
        """Do the same for a signal to a run of the first version, where a name was taken as it was given."""
        try:
            said = decisions.parse_decision(message)
            standing.check_vote(said, self._keeper.gate, **self._context())
        except DecisionRefused as refusal:
            return f"a signalled decision did not count: {refusal}"
        return self._record(said).text

    def extend(self, message: Any) -> DecisionReply:
        """Move the deadline by an extension that `validate` has let through."""
        extension, gate = decisions.parse(Extension, message), self._open_gate()
        reply = gates.extend(extension, gate)
        self._keeper.ledger.note(AuditKind.EXTENSION, gate, f"{extension.by}: {reply.text}", said=extension)
        return reply

    def hand_over(self, message: Any) -> DecisionReply:
        """Hand over by a message that `validate` has let through."""
        handover, gate = decisions.parse(Handover, message), self._open_gate()
        reply = gates.hand_over(handover, gate, workflow.now())
        self._keeper.ask_everybody(gate)
        self._keeper.ledger.note(AuditKind.DELEGATION, gate, reply.text, said=handover)
        return reply

    def check_code_request(self, message: Any) -> CodeDelivery:
        """Return what has to be sent to whom.

        Raises:
            ApplicationError: nobody is asked anything, or not this person.
        """
        try:
            return self._code_delivery(message)
        except DecisionRefused as refusal:
            raise ApplicationError(str(refusal), type=refusal.answer, non_retryable=True) from None

    async def send_code(self, message: Any) -> DecisionReply:
        """Send an approval code to the private chat of the person it is for."""
        delivery = self.check_code_request(message)
        text = await call(
            CallingActivities.send_code,
            delivery,
            returns=str,
            task_queue=options.CHAT_QUEUE,
            retry_policy=options.CHAT,
            summary=f"code for {delivery.person.name}",
        )
        return DecisionReply(answer=Answer.ACCEPTED, gate=delivery.about, text=text)

    def _check(self, said: Signed) -> None:
        if said.id and said.id in self.replies:
            return
        run = workflow.info()
        self._check_anew(said)
        guard().check(said, run=run.workflow_id, execution=run.run_id, now=workflow.now())

    def known(self, word: Word) -> DecisionReply | None:
        """Return the reply to a word that was heard before; its code is good for once."""
        return (self.replies.get(word.id) if word.id else None) or self.replies.get(_once(word))

    def _check_anew(self, said: Signed) -> None:
        """Check what was not heard before; of the rest its first answer stands."""
        if self._known_word(said) is None:
            self._check_standing(said)

    def _known_word(self, said: Signed) -> DecisionReply | None:
        """Return the reply to a word that comes a second time as if it were another one.

        Raises:
            DecisionRefused: its code was carried here by a person, or by whoever has read it in the history.
        """
        known = self.replies.get(_once(said)) if isinstance(said, Word) else None
        if known is not None and said.channel not in OWN_CHANNELS:
            raise DecisionRefused(Answer.NOT_PROVEN, run_phrases.USED_CODE)
        return known

    def _check_standing(self, said: Signed) -> None:
        """Check that this person may say this at this moment."""
        context = self._context()
        if isinstance(said, RollBack):
            check_roll_back(said, self._keeper.board.view)
        elif isinstance(said, Word):
            check_word(said, self._keeper.board.view)
        elif isinstance(said, Decision):
            standing.check(said, self._keeper.gate, **context)
        elif isinstance(said, Extension):
            standing.check_extension(said, self._keeper.gate, **context)
        elif isinstance(said, Handover):
            standing.check_handover(said, self._keeper.gate, **context)

    def _context(self) -> dict[str, Any]:
        """Return what the rules have to know besides the message and the gate."""
        keeper = self._keeper
        return {
            "closed": keeper.board.view.closed_gates,
            "people": keeper.people,
            "now": workflow.now(),
        }

    def _record(self, said: Decision) -> DecisionReply:
        known = self.replies.get(said.id) if said.id else None
        if known is not None:
            return known
        gate = self._open_gate()
        counted = standing.counted(said, gate, self._keeper.people, workflow.now())
        reply = gates.record(counted, gate, now=workflow.now())
        self.answered(said, reply)
        self._keeper.ledger.note(AuditKind.DECISION, gate, gates.who_said(gate.decisions[-1]), said=counted)
        if gate.state is not GateState.OPEN:
            self._keeper.closed(gate)
        return reply

    def _open_gate(self) -> Gate:
        if self._keeper.gate is None:  # the validator ran on this very state
            raise ApplicationError("no gate is open", non_retryable=True)
        return self._keeper.gate

    def _code_delivery(self, message: Any) -> CodeDelivery:
        wanted = decisions.parse(CodeRequest, message)
        if wanted.gate == ROLLBACK:
            return self._rollback_code(wanted)
        incident = self._keeper.board.view.incident is not None
        if wanted.gate in set(Act) or (incident and not wanted.gate):
            return self._word_code(wanted, Act(wanted.gate or Act.ACKNOWLEDGE))
        gate = self._keeper.gate
        if gate is None or wanted.gate not in {"", gate.id}:
            raise DecisionRefused(Answer.NOT_THE_OPEN_GATE, "That gate is not open; nothing is asked.")
        person = self._keeper.people.named(wanted.by)
        if person is None or not standing.may_say(wanted, gate, self._keeper.people, workflow.now()):
            raise DecisionRefused(
                Answer.NOT_AN_APPROVER,
                f"'{wanted.by}' is not asked. Approvers: {', '.join(gate.approvers)}.",
            )
        standing.check_choice(wanted.decision, gate)
        info = workflow.info()
        return CodeDelivery(
            run_id=info.workflow_id,
            execution=info.run_id,
            gate=gate,
            person=person,
            decision=wanted.decision,
            reason=wanted.reason,
            until=wanted.until,
            to=wanted.to,
        )

    def _rollback_code(self, wanted: CodeRequest) -> CodeDelivery:
        view = self._keeper.board.view
        check_roll_back(RollBack(by=wanted.by, to=wanted.to), view)
        info = workflow.info()
        return CodeDelivery(
            run_id=info.workflow_id,
            execution=info.run_id,
            gate=None,
            person=next(person for person in self._keeper.people.people if person.name == wanted.by),
            reason=wanted.reason,
            to=wanted.to,
        )

    def _word_code(self, wanted: CodeRequest, act: Act) -> CodeDelivery:
        word = Word(act=act, by=wanted.by, to=wanted.to, reason=wanted.reason)
        check_word(word, self._keeper.board.view)
        info = workflow.info()
        return CodeDelivery(
            run_id=info.workflow_id,
            execution=info.run_id,
            person=next(person for person in self._keeper.people.people if person.name == wanted.by),
            reason=wanted.reason,
            to=wanted.to,
            act=act,
        )

    async def _proven(self, message: Any, *, signal: str = "decide") -> SignalProof:
        """Return what is known of the sender of a signal; refuse it when its code is not good."""
        info = workflow.info()
        proof = await workflow.execute_local_activity_method(
            SigningActivities.check_signalled,
            Signalled(run=info.workflow_id, execution=info.run_id, message=message, signal=signal),
            start_to_close_timeout=options.ATTEMPT,
            retry_policy=options.STEADY,
        )
        if proof.answer:
            raise DecisionRefused(proof.answer, proof.text)
        return proof

    def _keep_refusal(self, message: Any, refusal: DecisionRefused) -> None:
        """Put a refusal on record through the worker: a refused update is not in the history."""
        update = workflow.current_update_info()
        if workflow.unsafe.is_replaying():
            return
        entry = self._keeper.ledger.refusal(
            message, refusal, self._keeper.gate, key=update.id if update else ""
        )
        try:
            guard().refused(entry)
        except DecisionRefused:
            workflow.logger.warning("a refusal could not be put on record: the worker has no guard")


def _check_act(said: Signed, act: str) -> None:
    if isinstance(said, Word) and said.act != act:
        text = run_phrases.OTHER_ACT.format(wanted=act, act=said.act)
        raise DecisionRefused(Answer.UNREADABLE, text)


def _once(word: Word) -> str:
    """Name a word by its code; what a note says is not covered by it, so two of one second have one code."""
    code = word.code.upper().replace("-", "").replace(" ", "")
    return f"code/{code}/{word.reason.strip()}" if word.act is Act.NOTE else f"code/{code}"
