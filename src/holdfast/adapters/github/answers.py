"""What GitHub answers: the fields that matter, and the error that each refusal becomes."""

import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast

import httpx
from pydantic import AwareDatetime, BaseModel, ValidationError

from holdfast.domain.errors import InvalidInput, Unavailable

_LONGEST_ANSWER_SHOWN: Final = 300
# Client errors by their number, but about the moment and not about what was asked.
_ASK_LATER: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}
_LIMITS: Final = {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
# GitHub's documentation asks for this where a limit is met and no header says how long it lasts.
_WAIT_UNTOLD_SECONDS: Final = 60.0
REMEDIES: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "; correct its 'token' in systems.yaml",
    HTTPStatus.FORBIDDEN: "; its 'token' needs the permission Actions: read and write",
    HTTPStatus.NOT_FOUND: "; check 'repository', 'deploy' and 'rollback' in systems.yaml, "
    "and that its 'token' may see them",
    HTTPStatus.GONE: ", so that nobody can tell which version it deployed; run the workflow again with the "
    "version that is deployed, and let it upload with more 'retention-days'",
}


class WorkflowRun(BaseModel):
    """A run of a workflow.

    Attributes:
        status: `queued`, `waiting`, `requested`, `pending`, `in_progress` or `completed`.
        conclusion: `success`, `failure`, … once it is completed.
        event: what started it, e.g. `workflow_dispatch`.
        display_title: the workflow's `run-name`, filled in.
        run_started_at: when its newest attempt began; somebody may run an old run again.
    """

    id: int
    run_number: int = 0
    status: str | None = None
    conclusion: str | None = None
    event: str = ""
    display_title: str = ""
    html_url: str = ""
    created_at: AwareDatetime
    run_started_at: AwareDatetime | None = None

    @property
    def began_at(self) -> datetime:
        """When its newest attempt was asked for."""
        return self.run_started_at or self.created_at


class RunPage(BaseModel):
    """One page of a workflow's runs, newest first."""

    workflow_runs: list[WorkflowRun]


class Step(BaseModel):
    """A step of a job."""

    name: str = ""
    conclusion: str | None = None


class Job(BaseModel):
    """A job of a run."""

    name: str = ""
    conclusion: str | None = None
    steps: list[Step] = []


class JobPage(BaseModel):
    """The jobs of a run's newest attempt."""

    jobs: list[Job]


class Artifact(BaseModel):
    """An uploaded artefact; each attempt of a run may have left one of the same name."""

    id: int
    name: str
    size_in_bytes: int = 0
    expired: bool = False


class ArtifactPage(BaseModel):
    """The artefacts of a run."""

    artifacts: list[Artifact]


class Dispatched(BaseModel):
    """What a dispatch became; GitHub Enterprise Server before 3.21 does not say."""

    workflow_run_id: int | None = None
    html_url: str = ""


M = TypeVar("M", bound=BaseModel)


class NotThere(InvalidInput):
    """GitHub does not have what was asked for, or does not let this token see it."""


def parsed(system: str, response: httpx.Response, model: type[M]) -> M:
    """Read the answer's body.

    Raises:
        Unavailable: it is something else, e.g. the page of a proxy or half an answer.
    """
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        said = _shortened(response.text)
        raise Unavailable(f"pipeline '{system}': GitHub's answer cannot be read: {said}") from None


def check(system: str, response: httpx.Response) -> None:
    """Let a good answer pass.

    Raises:
        NotThere: what was asked for is not there.
        InvalidInput: GitHub refuses; the text has its own words and a remedy.
        Unavailable: a limit is used up, GitHub has trouble, or somebody else answered in its place.
    """
    if response.is_success:
        return
    words = own_words(response)
    said = f"HTTP {response.status_code}: {words or _shortened(response.text)}"
    wait = _wait_seconds(response, words)
    if wait is not None:
        text = f"pipeline '{system}': GitHub's rate limit is used up for {wait:.0f} s ({said})"
        raise Unavailable(text, retry_after_seconds=wait)
    if response.has_redirect_location:
        raise InvalidInput(
            f"pipeline '{system}': the repository was moved ({said}); correct 'repository' in systems.yaml"
        )
    # GitHub explains every refusal in JSON. A refusal without is a proxy's, and says nothing about the request.
    if words and response.is_client_error and response.status_code not in _ASK_LATER:
        remedy = REMEDIES.get(response.status_code, "")
        error = NotThere if response.status_code == HTTPStatus.NOT_FOUND else InvalidInput
        raise error(f"pipeline '{system}': GitHub refuses: {said}{remedy}")
    raise Unavailable(
        f"pipeline '{system}': GitHub has trouble: {said}", retry_after_seconds=_retry_after(response)
    )


def own_words(response: httpx.Response) -> str:
    """Return GitHub's explanation of a refusal; empty where the answer is not GitHub's."""
    try:
        body = response.json()
    except ValueError:
        return ""
    fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    message = fields.get("message")
    if not isinstance(message, str):
        return ""
    errors = fields.get("errors")
    return _shortened(f"{message}: {errors}" if errors else message)


def _wait_seconds(response: httpx.Response, words: str) -> float | None:
    """Return how long a limit lasts; None where the answer is not about a limit."""
    if response.status_code not in _LIMITS:
        return None
    told = _retry_after(response)
    if told is not None:
        return told
    reset = response.headers.get("x-ratelimit-reset", "")
    if response.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(1.0, float(reset) - _now_there(response))
    limited = response.status_code == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in words.lower()
    return _WAIT_UNTOLD_SECONDS if limited else None


def _retry_after(response: httpx.Response) -> float | None:
    told = response.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else None


def _now_there(response: httpx.Response) -> float:
    """Return GitHub's time: the reset is told by its clock, and ours may be another."""
    try:
        return parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except ValueError:
        return time.time()


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_ANSWER_SHOWN else line[:_LONGEST_ANSWER_SHOWN] + "…"
