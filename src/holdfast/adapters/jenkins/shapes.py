"""What Jenkins' remote access API answers, as far as it is read, and the `tree` that asks for just that."""

import math
import re
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, Field

from holdfast.domain.errors import InvalidInput

PART: Final = "PART"
VERSION: Final = "VERSION"
KEY: Final = "HOLDFAST_KEY"

SUCCESS: Final = "SUCCESS"

_PARAMETERS: Final = "actions[parameters[name,value]]"
BUILD_TREE: Final = "number,url,building,result,timestamp"
BUILDS_FIELDS: Final = f"{BUILD_TREE},duration,queueId,{_PARAMETERS}"
ITEM_TREE: Final = f"id,why,cancelled,task[url],{_PARAMETERS},executable[number,url]"
QUEUE_TREE: Final = f"items[{ITEM_TREE}]"
JOB_TREE: Final = "buildable,property[parameterDefinitions[name]]"

_JOBS_AT_THE_END: Final = re.compile(r"(?:/job/[^/]+)+/?$")


class _Parameter(BaseModel):
    name: str = ""
    value: Any = None


class _Action(BaseModel):
    parameters: list[_Parameter] = []


class _Parameterised(BaseModel):
    """Jenkins puts the parameters among many other actions, some of them empty or null."""

    actions: list[_Action | None] = []

    def parameter(self, name: str) -> str:
        """Return the parameter's value; empty where there is none."""
        actions = [action for action in self.actions if action is not None]
        values = [p.value for action in actions for p in action.parameters if p.name == name]
        return str(values[0]) if values and values[0] is not None else ""


class Build(_Parameterised):
    """One build of a job.

    Attributes:
        building: false once nothing more happens; a result may be there before.
        result: `SUCCESS`, `FAILURE`, `UNSTABLE`, `ABORTED`, `NOT_BUILT` or nothing yet.
        timestamp: when it began, in milliseconds since 1970.
        duration: how long it took, in milliseconds; 0 while it runs.
        queueId: number of the queue item that it was; grows over all jobs.
    """

    number: int
    url: str = ""
    building: bool = False
    result: str | None = None
    timestamp: int = 0
    duration: int = 0
    queueId: int = 0  # noqa: N815  Jenkins' own word

    @property
    def over(self) -> bool:
        """Whether nothing more happens in it."""
        return not self.building and self.result is not None

    @property
    def succeeded(self) -> bool:
        """Whether it is over and went well."""
        return self.over and self.result == SUCCESS

    @property
    def ended_at(self) -> float:
        """When it ended, in milliseconds since 1970; infinite where it has not."""
        return self.timestamp + self.duration if self.over else math.inf


class Builds(BaseModel):
    """A job's builds, the newest first."""

    allBuilds: list[Build] = []  # noqa: N815  Jenkins' own word


class _Task(BaseModel):
    url: str = ""


class _Executable(BaseModel):
    number: int | None = None


class QueueItem(_Parameterised):
    """A build that waits, or has left the queue less than about five minutes ago.

    Attributes:
        why: what it waits for, in Jenkins' words.
        executable: the build that it has become.
    """

    id: int
    why: str | None = None
    cancelled: bool = False
    task: _Task = _Task()
    executable: _Executable | None = None

    @property
    def build_number(self) -> int | None:
        """Return the number of the build that it has become."""
        return self.executable.number if self.executable else None

    def is_of(self, job: str) -> bool:
        """Whether it waits for an executor to build this job, wherever Jenkins believes to be reached."""
        path = urlsplit(self.task.url).path
        found = _JOBS_AT_THE_END.search(path)
        return found is not None and [unquote(s) for s in found[0].split("/")[2::2]] == job.split("/")


class Queue(BaseModel):
    """Everything that waits in Jenkins."""

    items: list[QueueItem] = []


class _Definition(BaseModel):
    name: str


class _Property(BaseModel):
    parameterDefinitions: list[_Definition] = []  # noqa: N815  Jenkins' own word


class Job(BaseModel):
    """How a job is set up."""

    buildable: bool = True
    properties: list[_Property | None] = Field(default=[], alias="property")

    def declares(self) -> set[str]:
        """Return the names of the parameters that it takes; Jenkins drops all others without a word."""
        return {d.name for one in self.properties if one is not None for d in one.parameterDefinitions}


class Crumb(BaseModel):
    """What Jenkins wants to see in a POST where it guards against forged requests."""

    crumb: str
    crumbRequestField: str  # noqa: N815  Jenkins' own word


def checked_path(text: str, field: str) -> str:
    """Return a path without slashes at its ends.

    Raises:
        InvalidInput: it leads elsewhere or nowhere; the text names the field.
    """
    path = text.strip("/")
    if any(segment in {"", ".", ".."} for segment in path.split("/")):
        raise InvalidInput(f"{field}: '{text}' is no path; give folders and name with a slash between them")
    return path


def job_address(job: str) -> str:
    """Return where a job is below Jenkins' address: `/job/shop/job/deploy` for `shop/deploy`."""
    return "".join(f"/job/{quote(segment, safe='')}" for segment in job.split("/"))


def artifact_address(job: str, number: int, path: str) -> str:
    """Return where an archived file is below Jenkins' address."""
    return f"{job_address(job)}/{number}/artifact/" + "/".join(quote(s, safe="") for s in path.split("/"))
