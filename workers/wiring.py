"""Puts adapters behind ports: the only place that knows both. A new adapter adds its line to a table here."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from holdfast.adapters.github import GitHubPipelines
from holdfast.adapters.gitlab import GitLabPipelines
from holdfast.adapters.http_config import CanaryShareProvider, HttpConfigProvider
from holdfast.adapters.jenkins import JenkinsPipelines
from holdfast.adapters.masking import MaskingProvider
from holdfast.adapters.pipelines import PipelineProvider
from holdfast.adapters.prometheus import PrometheusMetrics
from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.domain.errors import InvalidInput
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import ChangeProvider, Progress
from holdfast.runbook.library import SYSTEMS_FILE, RunbookLibrary
from holdfast.runbook.systems import (
    AlembicSystem,
    CommandSystem,
    GitHubSystem,
    GitLabSystem,
    HttpConfigSystem,
    JenkinsSystem,
    Secret,
    System,
    Systems,
)
from workers.client import connect
from workers.settings import Settings
from workers.systems import MASK, reveal
from workflows.options import RUNBOOK_QUEUE

_S = TypeVar("_S", bound=System)


@dataclass(frozen=True)
class ProviderContext:
    """What change providers are made of.

    Attributes:
        endpoints: base URL of each system with a configuration API, from the settings and `systems.yaml`.
        systems: `systems.yaml`.
        reveal: reads a secret; each call reads it anew.
        state_dir: where this machine keeps what it has to keep.
    """

    endpoints: Mapping[str, str]
    systems: Systems
    reveal: Callable[[Secret], str]
    state_dir: Path

    def of_kind(self, model: type[_S]) -> dict[str, _S]:
        """Return the systems of one kind, by name."""
        return {name: system for name, system in self.systems.systems.items() if isinstance(system, model)}

    def token(self, endpoint: str) -> str:
        """Return the token for a configuration API; empty where it needs none."""
        system = self.of_kind(HttpConfigSystem).get(endpoint)
        return self.reveal(system.token) if system and system.token else ""


def _http_config(context: ProviderContext) -> ChangeProvider:
    return HttpConfigProvider(context.endpoints, token=context.token)


def _canary_share(context: ProviderContext) -> ChangeProvider:
    return CanaryShareProvider(context.endpoints, token=context.token)


def _gitlab(context: ProviderContext) -> ChangeProvider:
    systems = context.of_kind(GitLabSystem)
    return PipelineProvider(GitLabPipelines(systems, context.reveal), systems)


def _github(context: ProviderContext) -> ChangeProvider:
    systems = context.of_kind(GitHubSystem)
    return PipelineProvider(GitHubPipelines(systems, context.reveal), systems)


def _jenkins(context: ProviderContext) -> ChangeProvider:
    systems = context.of_kind(JenkinsSystem)
    return PipelineProvider(JenkinsPipelines(systems, context.reveal), systems)


def _alembic(context: ProviderContext) -> ChangeProvider:
    # By name, because loading SQLAlchemy and Alembic takes half a second that a quick command does not have.
    make: Callable[..., ChangeProvider] = import_module("holdfast.adapters.alembic").AlembicProvider
    return make(context.of_kind(AlembicSystem), context.reveal)


def _command(context: ProviderContext) -> ChangeProvider:
    # By name, because its locks are those of POSIX, and the quick commands also run elsewhere.
    make: Callable[..., ChangeProvider] = import_module("holdfast.adapters.command").CommandProvider
    return make(context.of_kind(CommandSystem), context.reveal, state_dir=context.state_dir)


CHANGE_PROVIDERS: Mapping[str, Callable[[ProviderContext], ChangeProvider]] = {
    "http_config": _http_config,
    "canary_share": _canary_share,
    "gitlab": _gitlab,
    "github": _github,
    "jenkins": _jenkins,
    "alembic": _alembic,
    "command": _command,
}
# Made when a worker starts: an address that is none stops it then, and not in the middle of an incident.
_AT_ONCE = frozenset({"http_config", "canary_share"})


def change_providers(settings: Settings) -> dict[str, ChangeProvider]:
    """Return a provider for each kind of change; what they say is masked.

    Raises:
        RunbookInvalid: `systems.yaml` is wrong, line by line.
        InvalidInput: a system is in both `systems.yaml` and HOLDFAST_ENDPOINTS, or has an impossible address.
    """
    context = _context(settings)
    # Masked here, around all of them: what they say gets into histories, messages and the record
    # (docs/decisions/0012).
    return {kind: MaskingProvider(_provider(kind, context), MASK) for kind in CHANGE_PROVIDERS}


def metrics(settings: Settings) -> PrometheusMetrics:
    """Return the metrics backend."""
    return PrometheusMetrics(settings.prometheus_url)


def library(settings: Settings) -> RunbookLibrary:
    """Return the reviewed runbooks."""
    return RunbookLibrary(settings.runbook_dirs)


def runs(settings: Settings) -> TemporalRuns:
    """Return the way to start and decide runs."""
    return TemporalRuns(lambda: connect(settings), task_queue=RUNBOOK_QUEUE, address=settings.temporal_address)


def _context(settings: Settings) -> ProviderContext:
    systems = library(settings).systems()
    # An error, because one of both would be wrong one day (docs/decisions/0012).
    for name in sorted(settings.endpoints.keys() & systems.systems.keys()):
        raise InvalidInput(
            f"'{name}' is in HOLDFAST_ENDPOINTS and in {library(settings).systems_path() or SYSTEMS_FILE}: "
            "leave it in one of both"
        )
    listed = {n: str(s.url) for n, s in systems.systems.items() if isinstance(s, HttpConfigSystem)}
    return ProviderContext({**settings.endpoints, **listed}, systems, reveal, settings.state_dir)


def _provider(kind: str, context: ProviderContext) -> ChangeProvider:
    build = CHANGE_PROVIDERS[kind]
    return build(context) if kind in _AT_ONCE else _Late(lambda: build(context))


class _Late:
    """A provider that is made when it is first needed, so that a worker's start does not wait for it."""

    def __init__(self, build: Callable[[], ChangeProvider]) -> None:
        self._build = build
        self._built: ChangeProvider | None = None
        self._building = asyncio.Lock()

    async def read(self, endpoint: str, part: str) -> TargetState:
        return await (await self._provider()).read(endpoint, part)

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        return await (await self._provider()).foresee(effect, state)

    async def write(self, write: Write, progress: Progress) -> TargetState:
        return await (await self._provider()).write(write, progress)

    async def _provider(self) -> ChangeProvider:
        async with self._building:
            if self._built is None:
                self._built = await asyncio.to_thread(self._build)
            return self._built
