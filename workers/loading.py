"""Puts `holdfast load` together: load that is made on this machine, without Temporal."""

from collections.abc import Mapping

from holdfast.adapters.generators.processes import revealed
from holdfast.apps.cli.load import LoadDeps
from holdfast.loadgen.result import LoadResult
from holdfast.runbook.kinds.load import LoadSpec
from workers import wiring
from workers.load import LoadSettings
from workers.settings import Settings
from workers.systems import reveal


def load_commands(settings: Settings) -> LoadDeps:
    """Return what the commands need on this machine; nothing is read before it is used."""
    return LoadDeps(
        library=lambda: wiring.library(settings),
        limits=lambda: LoadSettings().limits,
        secrets=_secrets,
        draw=_draw,
    )


def _secrets(spec: LoadSpec) -> Mapping[str, str]:
    return revealed(spec, reveal)


def _draw(result: LoadResult) -> bytes:
    # By name, because plots load Matplotlib, which takes a second that no quick command has.
    from holdfast.adapters.charts.load import load_chart  # noqa: PLC0415

    return load_chart(result)
