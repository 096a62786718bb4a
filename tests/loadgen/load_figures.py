"""Load tests and reports of them that tests make up."""

from array import array
from typing import Any

from holdfast.loadgen.histogram import Histogram
from holdfast.loadgen.report import Health, Report, Second, StepSecond
from holdfast.runbook.kinds.load import LoadSpec


def load_test(**other: Any) -> LoadSpec:
    """Two contexts of one step each, 10 even sessions a second for 10 s."""
    return LoadSpec.model_validate(
        {
            "kind": "load",
            "name": "some",
            "title": "Some load",
            "summary": "Some load.",
            "starters": ["ops"],
            "targets": {"shop": {"url": "http://127.0.0.1:1"}},
            "scenarios": [
                {
                    "name": "all",
                    "steps": [
                        {"name": "ask", "context": "support", "http": {"target": "shop"}, "timeout": "5s"},
                        {"name": "pay", "context": "orders", "http": {"target": "shop"}},
                    ],
                }
            ],
            "arrivals": "even",
            "phases": [{"rate": 10, "for": "10s"}],
        }
        | other
    )


def said(latencies_ms: list[float], *, due: int | None = None, **other: Any) -> StepSecond:
    """Return one step in one second, all answered well."""
    errors = other.pop("errors", {})
    answered_badly = sum(n for kind, n in errors.items() if kind.startswith(("status", "check")))
    return StepSecond(
        due=len(latencies_ms) + sum(errors.values()) - answered_badly if due is None else due,
        good=len(latencies_ms) - answered_badly,
        errors=errors,
        latency=Histogram.of(array("d", [ms * 1000 for ms in latencies_ms])).encoded() if latencies_ms else "",
        **other,
    )


def report(
    offset: float,
    seconds: dict[int, dict[str, StepSecond]],
    *,
    shard: int = 0,
    health: Health | None = None,
    **other: Any,
) -> Report:
    """Return what a generator says."""
    told = [Second(number=n, steps=steps, health=health) for n, steps in seconds.items()]
    return Report(shard=shard, offset=offset, seconds=told, **other)


def steady(seconds: int, latency_ms: float = 20.0, rate: int = 10, **other: Any) -> Report:
    """Return a whole test in which every session asks and pays."""
    step = said([latency_ms] * rate)
    return report(float(seconds), {n: {"ask": step, "pay": step} for n in range(seconds)}, **other)
