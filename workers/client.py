"""Connects to the Temporal server, with the one data converter that all processes share."""

import asyncio
from datetime import timedelta

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from workers.settings import SEARCH_ATTRIBUTES, Settings

log = structlog.get_logger()
_RETRY_SECONDS = 1.0


async def connect(settings: Settings, *, runtime: Runtime | None = None) -> Client:
    """Connect once; a server that does not answer is a RuntimeError."""
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=DATA_CONVERTER,
        runtime=runtime,
        rpc_metadata=_credentials(settings),
    )


def _credentials(settings: Settings) -> dict[str, str | bytes]:
    token = settings.temporal_token.get_secret_value() if settings.temporal_token else ""
    return {"authorization": f"Bearer {token}"} if token else {}


async def connect_patiently(settings: Settings, *, runtime: Runtime | None = None) -> Client:
    """Connect as soon as the server answers: a worker that starts first just waits."""
    while True:
        try:
            return await connect(settings, runtime=runtime)
        except RuntimeError as error:
            log.warning(
                "the Temporal server does not answer yet", address=settings.temporal_address, why=str(error)
            )
            await asyncio.sleep(_RETRY_SECONDS)


async def register_search_attributes(client: Client) -> None:
    """Register what runs are listed by where that is missing: a run would wait for it."""
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = {n: _KINDS[k] for n, k in SEARCH_ATTRIBUTES.items() if n not in listed.custom_attributes}
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
            log.info("search attributes registered", names=sorted(missing))
    except RPCError as error:
        log.warning(
            "search attributes could not be looked up; see docs/deploy.md",
            names=list(SEARCH_ATTRIBUTES),
            why=error.message,
        )


_KINDS = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "KeywordList": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}


def runtime_with_metrics(port: int) -> Runtime | None:
    """Return a runtime whose metrics Prometheus can scrape on this port; None for port 0."""
    if not port:
        return None
    prometheus = PrometheusConfig(
        bind_address=f"127.0.0.1:{port}",
        # As Prometheus names and counts; the SDK's own durations are milliseconds.
        durations_as_seconds=True,
        counters_total_suffix=True,
        unit_suffix=True,
    )
    return Runtime(
        telemetry=TelemetryConfig(metrics=prometheus), worker_heartbeat_interval=timedelta(seconds=30)
    )
