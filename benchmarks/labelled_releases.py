"""How well the deciding model finds the bad ones among labelled releases, and what each of its rules adds.

Takes a folder in the format of docs/backtest.md. Every model is replayed, then the deciding one with one rule
switched off at a time: a figure that rests on one rule alone would say more of the folder than of the model.
The reference is 0.76, the best F1 that tuned settings of Flagger and Kayenta reach on the public set that the
folder of docs/verdicts.md is a part of. Prints a table and, as its last line, one JSON object.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from holdfast.adapters.releases import read_releases
from holdfast.domain.errors import HoldfastError
from holdfast.verdict.backtest import backtest
from holdfast.verdict.models import MODELS
from holdfast.verdict.releases import RELEASE_SCORING, Release
from holdfast.verdict.scores import ModelScore, score
from holdfast.verdict.settings import Scoring

REFERENCE_F1 = 0.76
BOUND_F1 = 0.88
BOUND_MINUTES = 5.0
BOUND_ROLLBACKS_PERCENT = 2.0
_NEVER_POINTS, _NEVER_MINUTES = 1000.0, 10_000


def without(**rules: Any) -> Scoring:
    """Return the settings with rules of attribution set out of reach."""
    attribution = RELEASE_SCORING.attribution.model_copy(update=rules)
    return RELEASE_SCORING.model_copy(update={"attribution": attribution})


def only_edges() -> Scoring:
    """Return the settings in which metrics weigh nothing but are still shown."""
    quiet = {
        name: metric.model_copy(update={"weight_percent": 0, "veto": None, "no_data": "ignore"})
        for name, metric in RELEASE_SCORING.metrics.items()
    }
    return RELEASE_SCORING.model_copy(update={"metrics": quiet})


VARIANTS = {
    "attributed": RELEASE_SCORING,
    "… without missing successes": without(vanished_points=_NEVER_POINTS),
    "… without silence": without(silent_minutes=_NEVER_MINUTES),
    "… without errors on edges": without(rise_points=_NEVER_POINTS),
    "… by edges alone": only_edges(),
}


def measure(releases: Sequence[Release]) -> dict[str, ModelScore]:
    """Score each model, and each variant of the deciding one."""
    judged = backtest(releases, RELEASE_SCORING, [name for name in MODELS if name != "attributed"])
    scores = {name: score(judged, name) for name in MODELS if name != "attributed"}
    for name, settings in VARIANTS.items():
        scores[name] = score(backtest(releases, settings, ["attributed"]), "attributed")
    return scores


def table(scores: dict[str, ModelScore]) -> Table:
    """Lay the scores out, one model or variant a row."""
    shown = Table("model", "bad stopped", "good stopped", "F1", "median min", "good rolled back unasked")
    for name, got in scores.items():
        shown.add_row(
            name,
            f"{got.true_positives} of {got.true_positives + got.false_negatives}",
            f"{got.false_positives} of {got.false_positives + got.true_negatives}",
            "–" if got.f1 is None else f"{got.f1:.3f}",
            "–" if got.median_minutes is None else f"{got.median_minutes:.1f}",
            str(got.auto_rollbacks_of_good),
        )
    return shown


def main() -> int:
    """Measure, print, and return 0 when the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="labelled releases, see docs/backtest.md")
    try:
        releases = read_releases(parser.parse_args().folder)
    except HoldfastError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    scores = measure(releases)
    Console(width=110).print(table(scores))
    ours = scores["attributed"]
    f1, minutes = ours.f1 or 0.0, ours.median_minutes
    holds = (
        f1 >= BOUND_F1
        and minutes is not None
        and minutes <= BOUND_MINUTES
        and (ours.auto_rollbacks_of_good_percent or 0) <= BOUND_ROLLBACKS_PERCENT
    )
    result = {
        "name": "labelled_releases",
        "ours": round(f1, 4),
        "reference": REFERENCE_F1,
        "ratio": round(f1 / REFERENCE_F1, 3),
        "bound": BOUND_F1,
        "holds": holds,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
