"""`releases.json`: one strict record a release."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, cast

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from holdfast.domain.errors import InvalidInput
from holdfast.domain.strict import Strict
from holdfast.verdict.scores import Label

RELEASES_FILE: Final = "releases.json"

Text = Annotated[str, Field(min_length=1)]


class ReleaseRecord(Strict):
    """What `releases.json` says of one release.

    Attributes:
        first_step_at: Unix seconds, or a time with its zone.
        canary_pods: the members of the first step.
        control_pods: the members that stay as they were; None for all that are named `<service>-v1-…`.
    """

    id: Text
    case: Text
    day: Text
    service: Text
    label: Label | None = None
    fault: str | None = None
    first_step_at: Annotated[float, Field(gt=0, allow_inf_nan=False)] | AwareDatetime
    canary_pods: tuple[Text, ...] = Field(min_length=1)
    control_pods: tuple[Text, ...] | None = Field(default=None, min_length=1)
    replicas: int = Field(ge=1)
    observed_minutes: float = Field(gt=0, allow_inf_nan=False)

    @property
    def started_at(self) -> datetime:
        """When the first step went out, in UTC."""
        if isinstance(self.first_step_at, datetime):
            return self.first_step_at.astimezone(UTC)
        return datetime.fromtimestamp(self.first_step_at, UTC)

    def is_control(self, pod: str) -> bool:
        """Whether a pod belongs to the side that stays as it was."""
        if self.control_pods is not None:
            return pod in self.control_pods
        return pod.startswith(f"{self.service}-v1-")


_RECORD: Final = TypeAdapter(ReleaseRecord)


def read_records(directory: Path) -> list[ReleaseRecord]:
    """Read `releases.json`, one record a release, in the file's order.

    Raises:
        InvalidInput: the file is missing or wrong; each line names file, record and field.
    """
    path = directory / RELEASES_FILE
    try:
        data = from_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InvalidInput(f"{path}: is no JSON: {error}") from None
    if not isinstance(data, list) or not data:
        raise InvalidInput(f"{path}: must hold a list of releases, at least one")
    return _checked(path, cast("list[object]", data))


def _checked(path: Path, data: list[object]) -> list[ReleaseRecord]:
    records: list[ReleaseRecord] = []
    problems: list[str] = []
    for number, raw in enumerate(data, start=1):
        try:
            records.append(_RECORD.validate_python(raw))
        except ValidationError as error:
            problems += [f"{path}: record {number}{_name(raw)}: {_words(e)}" for e in error.errors()]
    first: dict[str, int] = {}
    for number, record in enumerate(records, start=1):
        if first.setdefault(record.id, number) != number:
            problems.append(f"{path}: record {number} ({record.id}): id: is given twice: keep one")
    if problems:
        raise InvalidInput("\n".join(problems))
    return records


def _name(raw: object) -> str:
    named = cast("dict[str, object]", raw).get("id") if isinstance(raw, dict) else None
    return f" ({named})" if isinstance(named, str) else ""


def _words(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"][:1])) or "the record"
    match error["type"]:
        case "missing":
            return f"{field}: is missing: add it"
        case "extra_forbidden":
            return f"{field}: unknown field; known: {', '.join(ReleaseRecord.model_fields)}"
        case _:
            return f"{field}: {error['msg']} (got {str(error['input'])[:60]!r})"
