import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import httpx

from holdfast.adapters.jenkins.api import TIMEOUT, JenkinsApi, NotThere
from holdfast.adapters.jenkins.shapes import (
    BUILD_TREE,
    BUILDS_FIELDS,
    ITEM_TREE,
    JOB_TREE,
    KEY,
    PART,
    QUEUE_TREE,
    VERSION,
    Build,
    Builds,
    Job,
    Queue,
    QueueItem,
    artifact_address,
    checked_path,
    job_address,
)
from holdfast.domain.errors import HoldfastError, InvalidInput, UnknownName
from holdfast.ports.pipelines import Action, Deployed, PipelineOrder, PipelineRun, RunStatus
from holdfast.runbook.systems import JenkinsSystem, Secret

_PAGE_BUILDS: Final = 100
_PAGES: Final = 10
_LONGEST_VERSION: Final = 100
_LONGEST_CONSOLE_BYTES: Final = 2_000_000
_LONGEST_LINE_SHOWN: Final = 200

_QUEUED: Final = re.compile(r"queue/(\d+)")
_LOCATION: Final = re.compile(r"/queue/item/(\d+)/?$")
_BUILT: Final = re.compile(r"(.+)/(\d+)")
# What Jenkins itself prints at the end of every console.
_JENKINS_LINE: Final = re.compile(r"Finished: |\[Pipeline\]|Build step '|\s*$")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

_ENDED: Final = {
    "SUCCESS": RunStatus.SUCCEEDED,
    "ABORTED": RunStatus.CANCELLED,
    "FAILURE": RunStatus.FAILED,
    "UNSTABLE": RunStatus.FAILED,
    "NOT_BUILT": RunStatus.FAILED,
}


class JenkinsPipelines:
    """Pipelines that are Jenkins jobs. See `ports.pipelines`.

    A run's id is `queue/123` while it waits and `shop/deploy/45` when it is built.
    """

    def __init__(
        self,
        systems: Mapping[str, JenkinsSystem],
        reveal: Callable[[Secret], str],
        *,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        """Know these systems by name; `reveal` is asked for a secret at each use.

        Raises:
            InvalidInput: an address, job or path in a system cannot be right.
        """
        tls = httpx.create_ssl_context()  # reads the trusted certificates, slow enough to do it once
        self._jenkins = {
            name: _Jenkins(name, system, JenkinsApi(name, system, reveal, timeout=timeout, tls=tls))
            for name, system in systems.items()
        }

    async def find(self, order: PipelineOrder) -> PipelineRun | None:
        """Return the oldest build with this key, else the oldest that waits, among the last 100."""
        return await self._of(order.system).find(order)

    async def start(self, order: PipelineOrder) -> PipelineRun | None:
        """Put a build of the action's job into the queue; it is `queue/123` until an executor is free."""
        return await self._of(order.system).start(order)

    async def look(self, order: PipelineOrder, run_id: str) -> PipelineRun:
        """Return the run as it is; one that has left the queue has the id of its build."""
        return await self._of(order.system).look(order, run_id)

    async def cancel(self, order: PipelineOrder, run_id: str) -> None:
        """Take the run out of the queue, or stop its build where it has begun."""
        await self._of(order.system).cancel(order, run_id)

    async def deployed(self, system: str, part: str) -> Deployed:
        """Return the version that the last build to succeed for the part has archived."""
        return await self._of(system).deployed(part)

    def _of(self, system: str) -> "_Jenkins":
        if system not in self._jenkins:
            raise UnknownName("pipeline", system, self._jenkins)
        return self._jenkins[system]


class _Jenkins:
    """One system with its two jobs."""

    def __init__(self, name: str, system: JenkinsSystem, api: JenkinsApi) -> None:
        where = f"Jenkins '{name}' in systems.yaml"
        self._name = name
        self._api = api
        self._jobs = {
            Action.DEPLOY: checked_path(system.deploy, f"'deploy' of {where}"),
            Action.ROLLBACK: checked_path(system.rollback, f"'rollback' of {where}"),
        }
        if "queue" in self._jobs.values():
            raise InvalidInput(f"{where}: a job called 'queue' is mixed up with the queue; put it in a folder")
        self._artifact = checked_path(system.artifact, f"'artifact' of {where}")

    async def find(self, order: PipelineOrder) -> PipelineRun | None:
        job = self._jobs[order.action]
        # The queue first: what leaves it meanwhile is among the builds then.
        queue = await self._queue()
        waiting = [item for item in queue if item.is_of(job) and item.parameter(KEY) == order.key]
        page = await self._builds(job, page=0)
        if builds := [build for build in page if build.parameter(KEY) == order.key]:
            return await self._shown(job, min(builds, key=lambda build: build.number))
        if waiting:
            return self._shown_item(min(waiting, key=lambda item: item.id), job)
        return None

    async def start(self, order: PipelineOrder) -> PipelineRun | None:
        job = self._jobs[order.action]
        ours = {PART: order.part, VERSION: order.version, KEY: order.key}
        await self._check(job, ours, order.parameters)
        address = f"{job_address(job)}/buildWithParameters"
        response = await self._api.post(address, form={**order.parameters, **ours})
        if response.status_code == HTTPStatus.CREATED:
            found = _LOCATION.search(response.headers.get("Location", ""))
            return self._queued(job, int(found[1])) if found else None
        if response.has_redirect_location and not self._api.leads_away(response):
            return None  # an old Jenkins: it took the build and leads back to the job's page
        raise self._api.refusal(response, f"job '{job}'")

    async def look(self, order: PipelineOrder, run_id: str) -> PipelineRun:
        if queued := _QUEUED.fullmatch(run_id):
            return await self._look_at_item(order, int(queued[1]))
        job, number = self._named(run_id)
        address, what = f"{job_address(job)}/{number}", f"build {number} of job '{job}'"
        return await self._shown(job, await self._api.get(address, Build, what, tree=BUILD_TREE))

    async def cancel(self, order: PipelineOrder, run_id: str) -> None:
        if not (queued := _QUEUED.fullmatch(run_id)):
            await self._stop(*self._named(run_id))
            return
        response = await self._api.post("/queue/cancelItem", params={"id": queued[1]})
        # It may have left the queue a moment before; then a build has to be stopped.
        run = await self.look(order, run_id)
        if not _QUEUED.fullmatch(run.id) and not run.status.ended:
            await self._stop(*self._named(run.id))
        elif run.status is RunStatus.QUEUED and not self._taken(response):
            raise self._api.refusal(response, f"queue item {queued[1]}")

    async def deployed(self, part: str) -> Deployed:
        jobs = sorted(set(self._jobs.values()))
        queue = await self._queue()
        builds = [(job, build) for job in jobs for build in await self._back_to_success(job, part)]
        # Builds may overlap: what is there was left by the one that ended last.
        builds.sort(key=lambda one: (one[1].ended_at, one[1].queueId), reverse=True)
        good = [one for one in builds if one[1].succeeded]
        version = await self._version(*good[0]) if good else ""
        waiting = [item for item in queue if item.parameter(PART) == part and any(map(item.is_of, jobs))]
        if waiting:
            item = max(waiting, key=lambda item: item.id)
            named = item.parameter(KEY) or f"{self._api.base}/queue/item/{item.id}/"
            return Deployed(version=version, unsettled=named, doubt=f"queue item {item.id} waits")
        if builds and not builds[0][1].succeeded:
            return Deployed(version=version, **_doubt(*builds[0]))
        return Deployed(version=version)

    async def _check(self, job: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
        """Refuse what Jenkins would drop silently: a build without its key is never found again."""
        if both := sorted(ours.keys() & theirs.keys()):
            raise InvalidInput(f"parameters: {both[0]} is given by Holdfast; leave it out of the runbook")
        setup = await self._api.get(job_address(job), Job, f"job '{job}'", tree=JOB_TREE)
        if not setup.buildable:
            raise InvalidInput(f"job '{job}' of Jenkins '{self._name}' is disabled: enable it in Jenkins")
        if missing := [name for name in (*ours, *theirs) if name not in setup.declares()]:
            raise InvalidInput(self._undeclared(job, missing))

    def _undeclared(self, job: str, names: list[str]) -> str:
        return (
            f"job '{job}' of Jenkins '{self._name}' does not take {', '.join(names)}: declare {PART}, "
            f"{VERSION} and {KEY}, and what the runbook gives besides, as string parameters of the job; where "
            f"a Jenkinsfile declares them, run it once by hand so that Jenkins knows"
        )

    async def _queue(self) -> list[QueueItem]:
        return (await self._api.get("/queue", Queue, "queue", tree=QUEUE_TREE)).items

    async def _builds(self, job: str, *, page: int) -> list[Build]:
        span = f"{{{page * _PAGE_BUILDS},{(page + 1) * _PAGE_BUILDS}}}"
        tree = f"allBuilds[{BUILDS_FIELDS}]{span}"
        return (await self._api.get(job_address(job), Builds, f"job '{job}'", tree=tree)).allBuilds

    async def _back_to_success(self, job: str, part: str) -> list[Build]:
        """Return the builds for a part, newest first, at least as far back as one has succeeded."""
        found: list[Build] = []
        for page in range(_PAGES):
            builds = await self._builds(job, page=page)
            found += [build for build in builds if build.parameter(PART) == part]
            if len(builds) < _PAGE_BUILDS or any(build.succeeded for build in found):
                break
        return found

    async def _look_at_item(self, order: PipelineOrder, item_id: int) -> PipelineRun:
        what = f"queue item {item_id}"
        try:
            item = await self._api.get(f"/queue/item/{item_id}", QueueItem, what, tree=ITEM_TREE)
        except NotThere:
            return await self._after_the_queue(order, item_id)
        if item.build_number is None:
            return self._shown_item(item, self._jobs[order.action])
        return await self.look(order, f"{self._jobs[order.action]}/{item.build_number}")

    async def _after_the_queue(self, order: PipelineOrder, item_id: int) -> PipelineRun:
        """Return the build of an item that Jenkins has forgotten, as it does five minutes after it left."""
        if run := await self.find(order):
            return run
        said = (
            f"queue item {item_id} is gone, and no build of job '{self._jobs[order.action]}' has "
            f"{KEY} {order.key}: it was cancelled while it waited, or its build was deleted"
        )
        return self._queued(self._jobs[order.action], item_id, RunStatus.CANCELLED, said)

    def _queued(
        self, job: str, item_id: int, status: RunStatus = RunStatus.QUEUED, said: str = ""
    ) -> PipelineRun:
        url = f"{self._api.base}{job_address(job)}/"  # a queue item has no page of its own
        return PipelineRun(id=f"queue/{item_id}", status=status, url=url, said=said)

    def _shown_item(self, item: QueueItem, job: str) -> PipelineRun:
        if item.cancelled:
            return self._queued(job, item.id, RunStatus.CANCELLED, "cancelled while it waited")
        return self._queued(job, item.id, said=item.why or "")

    async def _shown(self, job: str, build: Build) -> PipelineRun:
        run_id = f"{job}/{build.number}"
        if not build.over:
            return PipelineRun(id=run_id, status=RunStatus.RUNNING, url=build.url)
        status = _ENDED.get(build.result or "", RunStatus.FAILED)
        said = "" if status is RunStatus.SUCCEEDED else await self._what_went_wrong(job, build)
        return PipelineRun(id=run_id, status=status, url=build.url, said=said)

    async def _what_went_wrong(self, job: str, build: Build) -> str:
        """Return the result with the console's last line; people read the rest at the build's page."""
        said = f"build {build.number} of job '{job}' ended with {build.result}"
        if build.result == "UNSTABLE":
            said += ", which counts as failed"
        what = f"console of build {build.number}"
        try:
            console = await self._api.download(
                f"{job_address(job)}/{build.number}/consoleText", what, limit_bytes=_LONGEST_CONSOLE_BYTES
            )
        except HoldfastError:
            return said  # how it ended is known; its words are a courtesy
        last = _last_line((console or b"").decode(errors="replace"))
        return f"{said}: {last}" if last else said

    async def _version(self, job: str, build: Build) -> str:
        what = f"file '{self._artifact}' among the artefacts of build {build.number} of job '{job}'"
        content = await self._api.download(
            artifact_address(job, build.number, self._artifact), what, limit_bytes=_LONGEST_VERSION + 10
        )
        version = (content or b"").decode(errors="replace").strip()
        if not version or len(version) > _LONGEST_VERSION or not version.isprintable():
            raise InvalidInput(f"Jenkins '{self._name}': the {what} does not hold a version and nothing else")
        return version

    async def _stop(self, job: str, number: int) -> None:
        response = await self._api.post(f"{job_address(job)}/{number}/stop")
        if not self._taken(response):
            raise self._api.refusal(response, f"build {number} of job '{job}'")

    def _taken(self, response: httpx.Response) -> bool:
        """Whether Jenkins did what a button does; it then leads browsers back to the page they came from."""
        return response.is_success or (response.has_redirect_location and not self._api.leads_away(response))

    def _named(self, run_id: str) -> tuple[str, int]:
        found = _BUILT.fullmatch(run_id)
        if found is None or found[1] not in self._jobs.values():
            raise InvalidInput(f"'{run_id}' is no run of the jobs of Jenkins '{self._name}'")
        return found[1], int(found[2])


def _doubt(job: str, build: Build) -> dict[str, str]:
    how = f"ended with {build.result}" if build.over else "is not over"
    named = build.parameter(KEY) or build.url or f"{job}/{build.number}"
    return {"unsettled": named, "doubt": f"build {build.number} of job '{job}' {how}"}


def _last_line(console: str) -> str:
    lines = (_COLOUR.sub("", line).strip() for line in reversed(console.splitlines()))
    line = next((line for line in lines if not _JENKINS_LINE.match(line)), "")
    return line if len(line) <= _LONGEST_LINE_SHOWN else line[:_LONGEST_LINE_SHOWN] + "…"
