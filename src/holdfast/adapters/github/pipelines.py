from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import httpx

from holdfast.adapters.github.answers import (
    Dispatched,
    Job,
    JobPage,
    NotThere,
    RunPage,
    WorkflowRun,
    check,
    own_words,
    parsed,
)
from holdfast.adapters.github.api import TIMEOUT, GitHubApi
from holdfast.adapters.github.deployments import Deployments
from holdfast.adapters.github.runs import DISPATCH, as_pipeline_run, has_key, is_over, status_of
from holdfast.domain.errors import Unavailable, UnknownName
from holdfast.ports.pipelines import Action, Deployed, PipelineOrder, PipelineRun, RunStatus
from holdfast.runbook.systems import GitHubSystem, Secret

# GitHub ends a run after 35 days, so that no older one can be the one that is waited for.
_LONGEST_RUN: Final = timedelta(days=35)
_REFUSED_FIELDS: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}


class GitHubPipelines:
    """Workflows of GitHub repositories, started by `workflow_dispatch`. See `ports.pipelines`.

    Both workflow files take the inputs `part`, `version` and `holdfast_key`, and have this `run-name`:

        run-name: deploy ${{ inputs.part }} ${{ inputs.version }} ${{ inputs.holdfast_key }}

    A run is found again by the key in its title, and its part is read from there. A run without a part in its
    title may have touched any part; it counts for all of them. When a workflow has deployed, it uploads the
    artefact `version.artifact` with the file `version.file`, which holds the version. The token needs the
    permission Actions: read and write.
    """

    def __init__(
        self,
        systems: Mapping[str, GitHubSystem],
        reveal: Callable[[Secret], str],
        *,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        """Reach these pipelines, by name.

        Args:
            systems: from `systems.yaml`.
            reveal: reads a token; called at each use.
            timeout: how long one call may take.
        """
        self._systems = dict(systems)
        tls = httpx.create_ssl_context()  # reads the trusted certificates, slow enough to do it once
        self._apis = {
            name: GitHubApi(name, system, reveal, timeout=timeout, tls=tls)
            for name, system in self._systems.items()
        }

    async def find(self, order: PipelineOrder) -> PipelineRun | None:
        """Return the oldest run with the order's key in its title, of the last 35 days."""
        api = self._api(order.system)
        since = (datetime.now(UTC) - _LONGEST_RUN).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked = {"event": DISPATCH, "created": f">={since}"}
        found = [
            run
            async for page in api.pages(f"{self._workflow(order)}/runs", RunPage, asked)
            for run in page.workflow_runs
            if has_key(run, order.key)
        ]
        return as_pipeline_run(min(found, key=lambda run: (run.created_at, run.id))) if found else None

    async def start(self, order: PipelineOrder) -> PipelineRun | None:
        """Dispatch the workflow; the run is returned where GitHub says which one it is."""
        api, path = self._api(order.system), f"{self._workflow(order)}/dispatches"
        inputs = {
            **order.parameters,
            "part": order.part,
            "version": order.version,
            "holdfast_key": order.key,
        }
        body = {"ref": self._systems[order.system].ref, "inputs": inputs}
        response = await api.post(path, {**body, "return_run_details": True})
        # GitHub Enterprise Server before 3.21 refuses the field, and has not started anything then.
        if response.status_code in _REFUSED_FIELDS and "return_run_details" in own_words(response):
            response = await api.post(path, body)
        check(order.system, response)
        if not response.content:
            return None
        run = parsed(order.system, response, Dispatched)
        if run.workflow_run_id is None:
            return None
        return PipelineRun(id=str(run.workflow_run_id), status=RunStatus.QUEUED, url=run.html_url)

    async def look(self, order: PipelineOrder, run_id: str) -> PipelineRun:
        """Return the run; a failed one with the job and step that failed."""
        api = self._api(order.system)
        with _perhaps_late(run_id):
            run = await api.get(f"/actions/runs/{quote(run_id, safe='')}", WorkflowRun)
        failed = is_over(run) and status_of(run) is RunStatus.FAILED
        return as_pipeline_run(run, await _jobs(api, run) if failed else None)

    async def cancel(self, order: PipelineOrder, run_id: str) -> None:
        """Ask for the run's end."""
        response = await self._api(order.system).post(f"/actions/runs/{quote(run_id, safe='')}/cancel")
        if response.status_code != HTTPStatus.CONFLICT:  # which says that it is over
            with _perhaps_late(run_id):
                check(order.system, response)

    async def deployed(self, system: str, part: str) -> Deployed:
        """Return the version of the newest run that deployed or rolled back this part."""
        api = self._api(system)
        return await Deployments(system, self._systems[system], api, part).newest()

    def _api(self, system: str) -> GitHubApi:
        if system not in self._apis:
            raise UnknownName("GitHub pipeline", system, self._apis)
        return self._apis[system]

    def _workflow(self, order: PipelineOrder) -> str:
        system = self._systems[order.system]
        file = system.deploy if order.action is Action.DEPLOY else system.rollback
        return f"/actions/workflows/{quote(file, safe='')}"


@contextmanager
def _perhaps_late(run_id: str) -> Generator[None]:
    """Take a missing run for one that is not to be seen at the moment: who asks for it has seen it begin.

    To take it for a refusal would let a rollback begin beside a run that goes on.
    """
    try:
        yield
    except NotThere as error:
        raise Unavailable(f"run {run_id} is not to be seen, or was deleted: {error}") from None


async def _jobs(api: GitHubApi, run: WorkflowRun) -> list[Job]:
    """Return the jobs of a run's newest attempt; none if GitHub does not tell them now: they only explain."""
    try:
        page = await api.get(f"/actions/runs/{run.id}/jobs", JobPage, {"filter": "latest", "per_page": "100"})
    except Unavailable:
        return []
    return page.jobs
