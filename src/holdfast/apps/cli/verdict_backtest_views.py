"""A backtest on a terminal and as JSON: what each model would have stopped, and what its settings are worth."""

from collections.abc import Sequence
from typing import Any, Final

from holdfast.apps.cli.output import Output
from holdfast.apps.cli.tables import table
from holdfast.verdict.backtest import GROUPINGS, CrossValidation, Report, TimelineMinute
from holdfast.verdict.scores import FaultScore, Judged, ModelScore, Stop
from holdfast.verdict.words import decimals_or_dash

_SCORE_COLUMNS: Final = (
    "model",
    "bad stopped",
    "bad let through",
    "good stopped",
    "good let through",
    "precision",
    "recall",
    "F1",
    "median minutes",
    "good rolled back unasked",
)


_FIRST = {
    "f1",
    "precision",
    "recall",
    "median_minutes",
    "auto_rollbacks_of_good",
    "auto_rollbacks_of_good_percent",
}


def backtest_document(
    source: tuple[str, str], found: Report, minutes: Sequence[TimelineMinute]
) -> dict[str, Any]:
    """Return what was found as JSON; `source` is what was replayed, and its name."""
    document: dict[str, Any] = {
        source[0]: source[1],
        "releases": len(found.judged),
        "bad": found.labelled("bad"),
        "good": found.labelled("good"),
        "deciding": found.deciding.model,
        # The figures that a script asks for first, of the deciding model.
        **found.deciding.model_dump(mode="json", include=_FIRST),
        "models": {s.model: s.model_dump(mode="json", exclude={"model"}) for s in found.scores},
        "unlabelled": {
            j.id: j.model_dump(mode="json", include={"stops"})["stops"] for j in found.judged if not j.label
        },
    }
    for by in GROUPINGS:
        held = found.validations.get(by)
        document[f"leave_one_{by}_out"] = held and _validation(held)
    if minutes:
        stops = found.judged[0].model_dump(mode="json")["stops"]
        document |= {"stops": stops, "timeline": [m.model_dump(mode="json") for m in minutes]}
    return document


def _validation(held: CrossValidation) -> dict[str, Any]:
    chosen = {group: settings.model_dump() for group, settings in held.chosen.items()}
    return held.score.model_dump(mode="json", exclude={"model", "deciding"}) | {"chosen": chosen}


def tell_backtest(found: Report, minutes: Sequence[TimelineMinute], out: Output) -> None:
    """Say what was found, and of one release minute by minute where `minutes` are given."""
    bad, good = found.labelled("bad"), found.labelled("good")
    out.say(
        f"{len(found.judged)} releases: {bad} bad, {good} good, {len(found.judged) - bad - good} unlabelled"
    )
    if minutes:
        _tell_minutes(found.judged[0], minutes, out)
    if bad or good:
        out.show(table(_SCORE_COLUMNS, [_score_row(s) for s in found.scores], title="\nPer model"))
    if bad and not minutes:
        _tell_faults(found.scores, out)
    if bad + good > 1:
        _tell_mistakes(found.deciding, out)
    for by, held in found.validations.items():
        out.say(f"\nLeave one {by} out, {held.score.model}: {_figures(held.score)}")
        for settings, groups in _by_settings(held).items():
            out.say(f"  {settings}: chosen for {', '.join(groups)}")
    unlabelled = [j for j in found.judged if not j.label]
    if unlabelled and not minutes:
        names = [s.model for s in found.scores]
        rows = [[j.id, *(_stop_words(j.stops[name]) for name in names)] for j in unlabelled]
        out.show(table(("release", *names), rows, title="\nWithout a label, so not scored"))


def _tell_minutes(judged: Judged, minutes: Sequence[TimelineMinute], out: Output) -> None:
    names = list(minutes[0].outcomes)
    rows = [
        [f"{m.minutes:.1f}", f"{m.at:%Y-%m-%d %H:%M:%S}", *(m.outcomes[name] for name in names)]
        for m in minutes
    ]
    label = f", {judged.label}" if judged.label else ""
    fault = f" ({judged.fault})" if judged.fault else ""
    out.show(table(("minutes", "at, UTC", *names), rows, title=f"\n{judged.id}{label}{fault}"))
    for name, stop in judged.stops.items():
        out.say(f"{name}: {_stop_words(stop)}{f': {stop.reason}' if stop and stop.reason else ''}")


def _stop_words(stop: Stop | None) -> str:
    if stop is None:
        return "let through"
    said = f"{stop.outcome} at {stop.minutes:.1f} min"
    if stop.rolled_back_at is None or stop.rolled_back_at <= stop.minutes:
        return said
    return f"{said}, rollback at {stop.rolled_back_at:.1f}"


def _score_row(got: ModelScore) -> list[str]:
    return [
        f"{got.model}{' (decides)' * got.deciding}",
        str(got.true_positives),
        str(got.false_negatives),
        str(got.false_positives),
        str(got.true_negatives),
        decimals_or_dash(got.precision),
        decimals_or_dash(got.recall),
        decimals_or_dash(got.f1),
        decimals_or_dash(got.median_minutes, 1),
        _rolled_back(got),
    ]


def _rolled_back(got: ModelScore) -> str:
    return f"{got.auto_rollbacks_of_good} ({decimals_or_dash(got.auto_rollbacks_of_good_percent, 1)} %)"


def _figures(got: ModelScore) -> str:
    f1, precision, recall = (decimals_or_dash(ratio) for ratio in (got.f1, got.precision, got.recall))
    return (
        f"F1 {f1}, precision {precision}, recall {recall}, "
        f"median {decimals_or_dash(got.median_minutes, 1)} min, good rolled back unasked {_rolled_back(got)}"
    )


def _tell_faults(scores: Sequence[ModelScore], out: Output) -> None:
    caught = [{fault.fault: fault for fault in s.faults} for s in scores]
    rows = [[fault or "not said", *(_fault_words(by_name[fault]) for by_name in caught)] for fault in caught[0]]
    title = "\nPer kind of fault: stopped of all, median minutes"
    out.show(table(("fault", *(s.model for s in scores)), rows, title=title))


def _fault_words(fault: FaultScore) -> str:
    minutes = "" if fault.median_minutes is None else f", {fault.median_minutes:.1f}"
    return f"{fault.caught} of {fault.total}{minutes}"


def _tell_mistakes(got: ModelScore, out: Output) -> None:
    for what, ids in (("missed", got.missed), ("stopped good ones", got.false_stops)):
        out.say(f"{got.model} {what}: {', '.join(ids) or 'none'}")


def _by_settings(held: CrossValidation) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for group, settings in held.chosen.items():
        words = ", ".join(f"{name} {value:g}" for name, value in settings.model_dump().items())
        groups.setdefault(words, []).append(group)
    return groups
