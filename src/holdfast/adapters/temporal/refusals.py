"""How the Temporal client's errors are told: refusals, unknown runs, a server or worker that is silent."""

from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from holdfast.domain.decisions import Answer
from holdfast.domain.errors import (
    ChatUnavailable,
    DecisionRefused,
    DeliveryUncertain,
    EngineUnavailable,
    HoldfastError,
    InvalidInput,
    UnknownName,
)

_SILENCE = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
# How the server puts it that nobody polls the run's task queue.
NO_WORKER = {RPCStatusCode.FAILED_PRECONDITION}
# What an activity behind an update ends with, by the name it travels under.
_OURS: dict[str, type[HoldfastError]] = {
    "ChatUnavailable": ChatUnavailable,
    "DeliveryUncertain": DeliveryUncertain,
    "InvalidInput": InvalidInput,
    "UnknownName": InvalidInput,
}


def refusal(error: WorkflowUpdateFailedError) -> Exception:
    """Return what a run said no with; the error itself where that is none of ours."""
    cause = _said(error)
    if cause is not None and "expected but not found" in cause.message:
        return DecisionRefused(Answer.UNREADABLE, "This run takes no such thing: it is of another kind.")
    if cause is None or not cause.type:
        return error
    if cause.type in set(Answer):
        return DecisionRefused(cause.type, cause.message)
    if cause.type == "AcceptedUpdateCompletedWorkflow":
        return _ended()
    ours = _OURS.get(cause.type)
    return error if ours is None else ours(cause.message)


def gone(run_id: str, error: RPCError) -> Exception:
    """Return that there is no such run, or none any more; the error itself where it says something else."""
    if error.status is not RPCStatusCode.NOT_FOUND:
        return error
    if "already completed" in error.message:
        return _ended()
    return UnknownName("run", run_id, ["those that 'holdfast runs' lists"])


def unavailable(address: str, error: RPCError | None = None) -> EngineUnavailable:
    """Say that the server at this address, or every worker, does not answer."""
    if error is None or error.status in _SILENCE:
        return EngineUnavailable(f"the Temporal server at {address} does not answer")
    if error.status in NO_WORKER:
        return EngineUnavailable("no worker is up to answer; start one with 'holdfast worker'")
    return EngineUnavailable(f"the Temporal server at {address} cannot do it: {error.message}")


def _said(error: BaseException) -> ApplicationError | None:
    """Find the words in a failure: those of an activity are wrapped."""
    cause = error.__cause__
    while cause is not None and not isinstance(cause, ApplicationError):
        cause = cause.__cause__
    return cause


def _ended() -> DecisionRefused:
    return DecisionRefused(Answer.ALREADY_DECIDED, "The run has ended; nothing is asked any more.")
