"""Puts adapters behind ports: the only place that knows both. A new adapter adds its line to a table here."""

from collections.abc import Callable, Mapping

from holdfast.adapters.http_config import CanaryShareProvider, HttpConfigProvider
from holdfast.adapters.prometheus import PrometheusMetrics
from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.ports.changes import ChangeProvider
from holdfast.runbook.library import RunbookLibrary
from workers.client import connect
from workers.settings import Settings
from workflows.options import RUNBOOK_QUEUE

CHANGE_PROVIDERS: dict[str, Callable[[Mapping[str, str]], ChangeProvider]] = {
    "http_config": HttpConfigProvider,
    "canary_share": CanaryShareProvider,
}


def change_providers(settings: Settings) -> dict[str, ChangeProvider]:
    """Return a provider for each kind of change, all over the same endpoints."""
    return {kind: build(settings.endpoints) for kind, build in CHANGE_PROVIDERS.items()}


def metrics(settings: Settings) -> PrometheusMetrics:
    """Return the metrics backend."""
    return PrometheusMetrics(settings.prometheus_url)


def library(settings: Settings) -> RunbookLibrary:
    """Return the reviewed runbooks."""
    return RunbookLibrary(settings.runbook_dirs)


def runs(settings: Settings) -> TemporalRuns:
    """Return the way to start and decide runs."""
    return TemporalRuns(lambda: connect(settings), task_queue=RUNBOOK_QUEUE, address=settings.temporal_address)
