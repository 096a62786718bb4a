"""From a query of a runbook file to one that a database can answer."""

from datetime import timedelta
from string import Template


def resolve(query: str, *, side: str, window: timedelta) -> str:
    """Put the side's label for `$side` and a PromQL duration for `$window`; any other `$` stays as it is."""
    return Template(query).safe_substitute(side=side, window=_promql(window))


def _promql(window: timedelta) -> str:
    milliseconds = round(window / timedelta(milliseconds=1))
    whole, rest = divmod(milliseconds, 1000)
    return f"{milliseconds}ms" if rest else f"{whole}s"
