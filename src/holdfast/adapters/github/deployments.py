"""Which version is deployed to a part, from the newest runs of both workflow files."""

from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from holdfast.adapters.github.answers import REMEDIES, ArtifactPage, Job, JobPage, RunPage, WorkflowRun
from holdfast.adapters.github.api import GitHubApi
from holdfast.adapters.github.archive import version_in
from holdfast.adapters.github.runs import SUCCESS, described, did_something, is_over, name_of, part_of
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.pipelines import Deployed
from holdfast.runbook.systems import GitHubSystem

# Runs can be run again for 30 days, so that an old one may be the newest deployment.
_RUN_AGAIN_WITHIN: Final = timedelta(days=35)
_EVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Found:
    """What the runs tell, read from the newest on.

    Attributes:
        by: the run that deployed it; None where there was none.
        unsettled: name of the newest run after `by` that did not end well or is not over; `doubt` says why.
    """

    version: str = ""
    by: WorkflowRun | None = field(default=None, repr=False)
    unsettled: str = ""
    doubt: str = ""

    def question(self, run: WorkflowRun, why: str) -> None:
        """Note a run that leaves the part in doubt; the newest counts."""
        if not self.unsettled:
            self.unsettled, self.doubt = name_of(run), f"GitHub run {run.run_number} {why}"


class Deployments:
    """Reads what is deployed to one part of one pipeline."""

    def __init__(self, name: str, system: GitHubSystem, api: GitHubApi, part: str) -> None:
        """Read with `api` for the pipeline of this name."""
        self._name = name
        self._system = system
        self._api = api
        self._part = part
        self._artifact = system.version.artifact.replace("{part}", part)

    async def newest(self) -> Deployed:
        """Return the version, and whether a newer run leaves it in doubt.

        Raises:
            Unavailable: GitHub does not answer, or not with what is needed.
            InvalidInput: GitHub refuses, or the newest version's artefact cannot be read any more.
        """
        until = datetime.now(UTC) - _RUN_AGAIN_WITHIN
        while True:
            found = await self._judge(await self._runs(until))
            bound = found.by.began_at if found.by else _EVER
            if bound >= until:
                return Deployed(version=found.version, unsettled=found.unsettled, doubt=found.doubt)
            # The newest one is older than what was read: runs between may stand on pages that were not.
            until = bound

    async def _runs(self, until: datetime) -> list[WorkflowRun]:
        """Return the runs of both workflows, the newest first, at least those since then."""
        read: list[WorkflowRun] = []
        for file in dict.fromkeys((self._system.deploy, self._system.rollback)):
            path = f"/actions/workflows/{quote(file, safe='')}/runs"
            async with aclosing(self._api.pages(path, RunPage, {})) as pages:
                async for page in pages:
                    read += page.workflow_runs
                    if not page.workflow_runs or page.workflow_runs[-1].created_at < until:
                        break
        return sorted(read, key=lambda run: (run.began_at, run.id), reverse=True)

    async def _judge(self, runs: list[WorkflowRun]) -> _Found:
        found = _Found()
        for listed in runs:
            if part_of(listed) not in {"", self._part}:
                continue
            # Lists lag behind: a run that they show as going on may be over.
            run = listed if is_over(listed) else await self._api.get(f"/actions/runs/{listed.id}", WorkflowRun)
            if await self._settles(run, found):
                break
        return found

    async def _settles(self, run: WorkflowRun, found: _Found) -> bool:
        """Take one run into account; True where it is the deployment that was looked for."""
        if not is_over(run):
            found.question(run, described(run, []) or "is not over")
            return False
        if run.conclusion == SUCCESS:
            return await self._deployed_by(run, found)
        if not found.unsettled:
            await self._question_if_it_began(run, found)
        return False

    async def _question_if_it_began(self, run: WorkflowRun, found: _Found) -> None:
        """A run that was cancelled in the queue, or refused, has touched nothing."""
        jobs: list[Job] = []
        async for page in self._api.pages(f"/actions/runs/{run.id}/jobs", JobPage, {"filter": "all"}):
            jobs += page.jobs
        if any(did_something(job) for job in jobs):
            found.question(run, described(run, jobs))

    async def _deployed_by(self, run: WorkflowRun, found: _Found) -> bool:
        path = f"/actions/runs/{run.id}/artifacts"
        page = await self._api.get(path, ArtifactPage, {"name": self._artifact, "per_page": "100"})
        named = [artifact for artifact in page.artifacts if artifact.name == self._artifact]
        if not named:
            if part_of(run):  # it says that it deployed here, and does not say what
                found.question(run, f"succeeded without the artefact '{self._artifact}'")
            return False
        newest = max(named, key=lambda artifact: artifact.id)
        if newest.expired:
            raise self._expired(run)
        found.version, found.by = await self._version(run, newest.id), run
        return True

    async def _version(self, run: WorkflowRun, artifact: int) -> str:
        content = await self._api.download(f"/actions/artifacts/{artifact}/zip")
        try:
            return version_in(content, self._system.version.file)
        except InvalidInput as error:
            raise InvalidInput(f"{self._about(run)}: {error}; correct the workflow or 'version'") from None
        except Unavailable as error:
            raise Unavailable(f"{self._about(run)}: {error}") from None

    def _expired(self, run: WorkflowRun) -> InvalidInput:
        return InvalidInput(f"{self._about(run)} has expired{REMEDIES[HTTPStatus.GONE]}")

    def _about(self, run: WorkflowRun) -> str:
        return f"pipeline '{self._name}': the artefact '{self._artifact}' of {run.html_url or run.id}"
