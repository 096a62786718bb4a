"""How load tests and their results look on a terminal and on a page."""

import base64
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from rich.table import Table

from holdfast.apps.cli.tables import table
from holdfast.i18n import translate
from holdfast.loadgen import words
from holdfast.loadgen.result import Figures, LoadResult
from holdfast.loadgen.timeline import Planned, stretches
from holdfast.loadgen.totals import Live
from holdfast.runbook.kinds.load import ANY_STEP, LoadSpec
from holdfast.runbook.kinds.load_scenario import Range, Scenario, Step

_EXAMPLES: Final = {"session": 0, "now": 1767225600, "update_id": 1, "message_id": 1, "chat_id": 1}
_LIVE_COLUMNS = ("", "due/s", "answered/s", "errors", "p50", "p95", "p99")
_PAGE = """\
<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}}
table{{border-collapse:collapse}}th,td{{text-align:right;padding:.2em .8em;border-bottom:1px solid #ddd}}
th:first-child,td:first-child{{text-align:left}}img{{max-width:100%}}</style>
<h1>{title}</h1><p>{started}</p>{said}{picture}{tables}</html>
"""


def live_line(live: Live) -> str:
    """Return the newest second on one line."""
    if not live.lines:
        return ""
    everything = live.lines[0]
    return (
        f"{words.clock(live.second):>6}  {words.rate(live.rate):>8}  due {everything.due_per_s:.0f}/s  "
        f"sent {live.sent_per_s}/s  answered {everything.answered_per_s:.0f}/s  "
        f"p50 {words.latency(everything.p50)}  p95 {words.latency(everything.p95)}  "
        f"p99 {words.latency(everything.p99)}  errors {words.percent(everything.errors_percent)}  "
        f"in flight {live.health.in_flight}  lag {live.health.lag_ms:.0f} ms  "
        f"busy {live.health.busy_percent:.0f} %"
    )


def live_table(spec: LoadSpec, live: Live, *, ctrl_c: str) -> Table:
    """Lay the newest second out, all requests first, then each context; `ctrl_c` says what Ctrl-C does."""
    rows = [
        (
            translate("all requests") if line.name == ANY_STEP else line.name,
            f"{line.due_per_s:.0f}",
            f"{line.answered_per_s:.0f}",
            words.percent(line.errors_percent),
            words.latency(line.p50),
            words.latency(line.p95),
            words.latency(line.p99),
        )
        for line in live.lines
    ]
    at = f"{words.clock(max(live.second, 0))} of {words.clock(spec.lasts.total_seconds())}"
    health = live.health
    named = f" ({live.phase})" if live.phase not in {"", words.rate(live.rate)} else ""
    grid = table(_LIVE_COLUMNS, rows, title=f"{spec.title}: {at}, {words.rate(live.rate)}{named}")
    grid.caption = (
        f"in flight {health.in_flight}, lag {health.lag_ms:.0f} ms, busy {health.busy_percent:.0f} %, "
        f"late {words.percent(live.late_percent)}, lost {live.lost}; {ctrl_c}"
    )
    return grid


def figures_table(figures: list[Figures], title: str) -> Table:
    """Lay figures out, a step or context a row."""
    columns = ("", "due", "answered", "errors", "late", "p50", "p95", "p99", "p99.9", "longest")
    return table(columns, map(_row, figures), title=title)


def phases_table(result: LoadResult) -> Table:
    """Lay the stretches of a test out."""
    columns = ("stretch", "from", "sessions/s", "requests/s", "p95", "p99", "errors", "held")
    return table(columns, _phase_rows(result), title="Stretches")


def compared_table(before: LoadResult, after: LoadResult) -> Table:
    """Lay two results side by side: what both have, and by how much it changed."""
    columns = ("", "p50", "p95", "p99", "errors", "requests/s")
    rows: list[list[str]] = []
    for new in after.figures:
        old = before.of(new.name, new.kind)
        if old is None or not (old.due and new.due):
            continue
        latencies = [_change(getattr(old, what), getattr(new, what)) for what in ("p50", "p95", "p99")]
        errors = f"{words.percent(old.errors_percent)} → {words.percent(new.errors_percent)}"
        rows.append([_name(new), *latencies, errors, f"{old.rate:.3g} → {new.rate:.3g}"])
    return table(columns, rows)


def plan_of(spec: LoadSpec) -> dict[str, Any]:
    """Return what a test would do, as data."""
    weights = sum(scenario.weight for scenario in spec.scenarios)
    steps_each = sum(scenario.weight * len(scenario.steps) for scenario in spec.scenarios) / weights
    sessions = Planned(spec).total
    return {
        "name": spec.name,
        "title": spec.title,
        "lasts_seconds": spec.lasts.total_seconds(),
        "sessions": sessions,
        "requests": round(sessions * steps_each),
        "stretches": [
            {"name": s.name, "from_seconds": s.begins, "to_seconds": s.ends, "rates": [s.rate_from, s.rate_to]}
            for s in stretches(spec)
        ],
        "targets": {name: str(target.url) for name, target in spec.targets.items()},
        "scenarios": [
            {
                "name": scenario.name,
                "share_percent": 100 * scenario.weight / weights,
                "requests": [request_of(spec, scenario, step) for step in scenario.steps],
            }
            for scenario in spec.scenarios
        ],
    }


def request_of(spec: LoadSpec, scenario: Scenario, step: Step) -> dict[str, Any]:
    """Return what a step would send for one session; what earlier answers give stays `{name}`."""
    values: dict[str, Any] = dict(_EXAMPLES)
    for name, source in scenario.variables.items():
        values[name] = source.low if isinstance(source, Range) else source[0]
    target = spec.targets[step.target]
    headers: dict[str, str] = dict(target.headers) | dict.fromkeys(target.secret_headers, "(secret)")
    base = str(target.url).rstrip("/")
    if step.telegram:
        update = step.telegram
        token = {"X-Telegram-Bot-Api-Secret-Token": "(secret)"} if update.secret_token else {}
        body: Any = {"tap": update.tap} if update.tap else {"text": update.text}
        sent: dict[str, Any] = {"method": "POST", "url": base + update.path, "headers": headers | token}
        sent["update"] = body
    else:
        http = step.http
        if http is None:
            return {}
        sent = {"method": http.method, "url": base + http.path, "headers": headers | http.headers}
        if http.json_body is not None or http.body is not None:
            sent["body"] = http.body if http.json_body is None else http.json_body
    return {"step": step.name, "context": step.context, **_filled(sent, values)}


def request_line(request: Mapping[str, Any]) -> str:
    """Return a request of a plan on one line."""
    body = request.get("update", request.get("body"))
    said = (
        "" if body is None else " " + (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False))
    )
    return f"{request['step']} ({request['context']}): {request['method']} {request['url']}{said}"


def page(result: LoadResult, picture: bytes, language: str) -> str:
    """Return a result as one HTML file that needs nothing else."""
    image = base64.b64encode(picture).decode("ascii")
    return _PAGE.format(
        lang=escape(language),
        title=escape(f"{result.title or result.runbook}: {words.verdict_word(result.verdict)}"),
        started=escape(f"{result.started_at:%Y-%m-%d %H:%M:%S %Z}"),
        said="".join(f"<p>{escape(sentence)}</p>" for sentence in words.sentences(result)),
        picture=f'<img alt="" src="data:image/png;base64,{image}">' if picture else "",
        tables=_html(figures_table(result.figures, "")) + _html(phases_table(result)),
    )


def _html(grid: Table) -> str:
    cells = [[str(cell) for cell in column.cells] for column in grid.columns]
    head = "".join(f"<th>{escape(str(column.header))}</th>" for column in grid.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in zip(*cells, strict=True)
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _row(figures: Figures) -> list[str]:
    latencies = (figures.p50, figures.p95, figures.p99, figures.p999, figures.maximum)
    kinds = ", ".join(f"{kind} {count}" for kind, count in figures.errors.items())
    errors = words.percent(figures.errors_percent) + (f" ({kinds})" if kinds else "")
    counts = (str(figures.due), str(figures.answered), errors, str(figures.late))
    return [_name(figures), *counts, *map(words.latency, latencies)]


def _name(figures: Figures) -> str:
    if figures.kind == "all":
        return translate("all requests")
    return f"  {figures.name}" if figures.kind == "step" else figures.name


def _phase_rows(result: LoadResult) -> Iterator[list[str]]:
    held = {True: "yes", False: "no", None: "–"}
    for phase in result.phases:
        figures = phase.figures[0] if phase.figures else Figures(name=ANY_STEP, kind="all")
        same = phase.rate_from == phase.rate_to
        rates = f"{phase.rate_to:g}" if same else f"{phase.rate_from:g} to {phase.rate_to:g}"
        yield [
            phase.name,
            words.clock(phase.begins),
            rates,
            f"{figures.rate:.3g}",
            words.latency(figures.p95),
            words.latency(figures.p99),
            words.percent(figures.errors_percent),
            held[phase.held],
        ]


def _change(old: float | None, new: float | None) -> str:
    text = f"{words.latency(old)} → {words.latency(new)}"
    return text if not old or new is None else f"{text} ({100 * (new / old - 1):+.0f} %)"


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """Put example values in place of `{name}`; what is not known stays."""
    if isinstance(value, str):
        for name, example in values.items():
            value = value.replace(f"{{{name}}}", str(example))
        return value
    if isinstance(value, Mapping):
        return {key: _filled(part, values) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType]  any JSON
    if isinstance(value, list | tuple):
        return [_filled(part, values) for part in value]  # pyright: ignore[reportUnknownVariableType]  any JSON
    return value
