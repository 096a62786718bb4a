from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter

from holdfast.adapters.gitlab.api import TIMEOUT, Forbidden, GitLabApi, Missing, Params, Project
from holdfast.adapters.gitlab.records import (
    JOBS,
    PIPELINES,
    VARIABLES,
    JobRecord,
    Marks,
    PipelineRecord,
)
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.ports.pipelines import Deployed, PipelineOrder, PipelineRun, RunStatus
from holdfast.runbook.systems import GitLabSystem, Secret

# A write that was begun is continued within days, not weeks.
_FOUND_FOR: Final = timedelta(days=7)
# Each of them costs a request the first time.
_MOST_PIPELINES: Final = 300
_MOST_REMEMBERED: Final = 2000

_PIPELINE: Final = TypeAdapter(PipelineRecord)
_NEWEST_FIRST: Final[Params] = {"order_by": "id", "sort": "desc"}

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class GitLabPipelines:
    """The pipelines of GitLab projects. See `ports.pipelines`.

    A pipeline is found by its variable `HOLDFAST_KEY`. GitLab cannot search for variables, so those of the
    project's API pipelines of the last seven days are read, each once; the role Developer sees the variables
    of its own pipelines, and those are enough. The deployed version is the artefact of the newest successful
    pipeline on `ref` with a deploying job; a job that somebody retries in an older pipeline is not noticed.
    """

    def __init__(
        self,
        systems: Mapping[str, GitLabSystem],
        reveal: Callable[[Secret], str],
        *,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        """Know these projects, by the name in `systems.yaml`.

        Args:
            systems: where they are.
            reveal: reads a secret; called at each use.
            timeout: how long one request may take.
        """
        self._systems = systems
        self._api = GitLabApi(reveal, timeout=timeout)
        self._marks = _Remembered[tuple[str, int], Marks]()
        self._jobs = _Remembered[tuple[str, int, str], list[JobRecord]]()

    async def find(self, order: PipelineOrder) -> PipelineRun | None:
        """Return the oldest pipeline under this key, None where there is none to be seen."""
        since = (datetime.now(UTC) - _FOUND_FOR).isoformat(timespec="seconds")
        wanted: Params = {**_NEWEST_FIRST, "source": "api", "created_after": since}
        oldest: PipelineRecord | None = None
        async with self._project(order.system) as project:
            async for pipeline in project.pages("/pipelines", PIPELINES, wanted, most=_MOST_PIPELINES):
                if (await self._marks_of(order.system, project, pipeline)).key == order.key:
                    oldest = pipeline
            return await self._run(order.system, project, oldest) if oldest else None

    async def start(self, order: PipelineOrder) -> PipelineRun:
        """Start a pipeline; GitLab says at once which one it became."""
        variables = {
            **order.parameters,
            "HOLDFAST_ACTION": order.action.value,
            "HOLDFAST_PART": order.part,
            "HOLDFAST_VERSION": order.version,
            "HOLDFAST_KEY": order.key,
        }
        async with self._project(order.system) as project:
            body = {
                "ref": self._systems[order.system].ref,
                "variables": [{"key": key, "value": value} for key, value in variables.items()],
            }
            pipeline = await project.post("/pipeline", _PIPELINE, body)
            return await self._run(order.system, project, pipeline)

    async def look(self, order: PipelineOrder, run_id: str) -> PipelineRun:
        """Return the pipeline as it is."""
        async with self._project(order.system) as project:
            pipeline = await project.get(f"/pipelines/{run_id}", _PIPELINE)
            return await self._run(order.system, project, pipeline)

    async def cancel(self, order: PipelineOrder, run_id: str) -> None:
        """Cancel the pipeline's jobs; GitLab takes that for one that is over, too."""
        async with self._project(order.system) as project:
            await project.post(f"/pipelines/{run_id}/cancel", _PIPELINE)

    async def deployed(self, system: str, part: str) -> Deployed:
        """Return the version in the newest successful pipeline's artefact, and what came after it."""
        newer: Deployed | None = None
        async with self._project(system) as project:
            ref = self._systems[system].ref
            wanted: Params = {**_NEWEST_FIRST, "ref": ref}
            async for pipeline in project.pages("/pipelines", PIPELINES, wanted, most=_MOST_PIPELINES):
                jobs = await self._deploying(system, part, project, pipeline)
                done = [job for job in jobs if job.status == "success"]
                if pipeline.stands is RunStatus.SUCCEEDED and done:
                    version = await self._version(system, part, project, done[-1])
                    return newer.model_copy(update={"version": version}) if newer else Deployed(version=version)
                if newer is None and await self._leaves_doubt(system, part, project, pipeline, jobs):
                    newer = await self._unsettled(system, project, pipeline)
        return newer or Deployed(version="")

    @asynccontextmanager
    async def _project(self, name: str) -> AsyncGenerator[Project]:
        if name not in self._systems:
            raise UnknownName("pipeline", name, self._systems)
        async with self._api.project(name, self._systems[name]) as project:
            yield project

    async def _run(self, system: str, project: Project, pipeline: PipelineRecord) -> PipelineRun:
        said = pipeline.waits
        if pipeline.stands in {RunStatus.FAILED, RunStatus.CANCELLED}:
            jobs = await self._jobs_of(system, project, pipeline)
            said = "; ".join(_ending(job) for job in jobs if job.status in {"failed", "canceled"}) or said
        return PipelineRun(id=str(pipeline.id), status=pipeline.stands, url=pipeline.web_url, said=said)

    async def _deploying(
        self, system: str, part: str, project: Project, pipeline: PipelineRecord
    ) -> list[JobRecord]:
        """Return the pipeline's jobs that deploy to this part."""
        names = {name.replace("{part}", part) for name in self._systems[system].version.jobs}
        return [job for job in await self._jobs_of(system, project, pipeline) if job.name in names]

    async def _leaves_doubt(
        self, system: str, part: str, project: Project, pipeline: PipelineRecord, jobs: list[JobRecord]
    ) -> bool:
        """Whether a pipeline without success may have touched the part, or still may."""
        if pipeline.stands is RunStatus.SUCCEEDED:
            return False
        if not jobs:
            return (await self._marks_of(system, project, pipeline)).part == part
        return any(job.started_at or (not pipeline.stands.ended and job.comes) for job in jobs)

    async def _unsettled(self, system: str, project: Project, pipeline: PipelineRecord) -> Deployed:
        key = (await self._marks_of(system, project, pipeline)).key
        said = (await self._run(system, project, pipeline)).said
        doubt = f"pipeline {pipeline.id} is '{pipeline.status}'" + (f" ({said})" if said else "")
        return Deployed(version="", unsettled=key or pipeline.web_url, doubt=f"{doubt}: {pipeline.web_url}")

    async def _version(self, system: str, part: str, project: Project, job: JobRecord) -> str:
        path = self._systems[system].version.artifact.replace("{part}", part)
        try:
            content = await project.content(f"/jobs/{job.id}/artifacts/{quote(path)}")
        except Missing:
            content = b""
        if version := content.decode(errors="replace").strip():
            return version
        raise InvalidInput(
            f"pipeline '{system}': job {job.name} ({job.id}) has no version in its artefact '{path}': let the "
            "job write it there and keep it ('expire_in: never'), or correct 'version' in systems.yaml"
        )

    async def _marks_of(self, system: str, project: Project, pipeline: PipelineRecord) -> Marks:
        """Return the key and the part in the pipeline's variables, which never change."""
        known = self._marks.get((system, pipeline.id))
        if known is None:
            known = await _read_marks(project, pipeline)
            self._marks.put((system, pipeline.id), known)
        return known

    async def _jobs_of(self, system: str, project: Project, pipeline: PipelineRecord) -> list[JobRecord]:
        """Return the pipeline's jobs; those of one that is over are read again only when it has moved."""
        name = (system, pipeline.id, pipeline.updated_at)
        known = self._jobs.get(name)
        if known is None:
            path = f"/pipelines/{pipeline.id}/jobs"
            known = [job async for job in project.pages(path, JOBS, {}, most=_MOST_PIPELINES)]
            if pipeline.stands.ended:
                self._jobs.put(name, known)
        return known


async def _read_marks(project: Project, pipeline: PipelineRecord) -> Marks:
    if pipeline.source != "api":
        return Marks()
    try:
        variables = await project.get(f"/pipelines/{pipeline.id}/variables", VARIABLES, {"per_page": 100})
    except Forbidden:
        return Marks()  # somebody else's; this token sees the variables of its own pipelines only
    given = {variable.key: variable.value for variable in variables}
    return Marks(key=given.get("HOLDFAST_KEY", ""), part=given.get("HOLDFAST_PART", ""))


def _ending(job: JobRecord) -> str:
    if job.status == "canceled":
        return f"job {job.name} was cancelled"
    return f"job {job.name} failed: {job.failure_reason or 'GitLab gives no reason'}"


class _Remembered(Generic[K, V]):
    """Keeps answers that do not change, the newest ones."""

    def __init__(self) -> None:
        self._known: dict[K, V] = {}

    def get(self, name: K) -> V | None:
        return self._known.get(name)

    def put(self, name: K, value: V) -> None:
        self._known[name] = value
        if len(self._known) > _MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
