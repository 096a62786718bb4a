"""What the watch saw, as small rows: what never changes from look to look is kept once, beside the numbers.

A look at four promises and ten numbers is 4 KB of JSON, and a month of them is 43,000 looks. The names,
promises and alerts in it are the same all the time: they are a *shape*, kept once by its digest, and a row has
the numbers.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from holdfast.adapters.sql_store.chain import storable
from holdfast.slo.status import Level, Moment, SloStatus, WindowCount

_SLO_SHAPE: Final = ("context", "slo", "promise", "objective_percent", "journey")
_SLO_NUMBERS: Final = ("sli_percent", "budget_left_percent", "events", "bad_events")
_BURN_SHAPE: Final = ("long", "short", "factor", "severity")
_KPI_SHAPE: Final = ("context", "name", "title", "unit")
_KPI_NUMBERS: Final = ("value", "baseline", "sigmas", "used_percent")
_LEVELS: Final = tuple(Level)


def split(moment: Moment) -> tuple[str, str]:
    """Return the shape of a look and its numbers, both as JSON; `digest` names the shape."""
    shape = [
        [[*_of(s, _SLO_SHAPE), [_of(b, _BURN_SHAPE) for b in s.burn]] for s in moment.slos],
        [_of(k, _KPI_SHAPE) for k in moment.kpis],
    ]
    numbers = [
        [[_LEVELS.index(s.level), s.said, *_of(s, _SLO_NUMBERS), _burns(s), _count(s)] for s in moment.slos],
        [[_LEVELS.index(k.level), *_of(k, _KPI_NUMBERS)] for k in moment.kpis],
        moment.silent,
    ]
    return _written(shape), _written(_finite(numbers))


def digest(shape: str) -> str:
    """Return the name of a shape."""
    return hashlib.sha256(shape.encode()).hexdigest()[:24]


def joined(at: datetime, shape: Sequence[Any], numbers: str) -> Moment:
    """Put a look together again.

    Args:
        at: when it was.
        shape: as `json.loads` reads what `split` gave.
        numbers: what `split` gave.
    """
    slos, kpis, silent = json.loads(numbers)
    fields = {
        "at": at,
        "slos": [_slo(fixed, said) for fixed, said in zip(shape[0], slos, strict=True)],
        "kpis": [_kpi(fixed, said) for fixed, said in zip(shape[1], kpis, strict=True)],
        "silent": silent,
    }
    return Moment.model_validate(fields)


def _of(model: Any, names: Sequence[str]) -> list[Any]:
    return [getattr(model, name) for name in names]


def _burns(status: SloStatus) -> list[float | None]:
    return [rate for burn in status.burn for rate in (burn.long_burn, burn.short_burn)]


def _count(status: SloStatus) -> list[int] | None:
    """Return a window's count as whole numbers, which are not rounded: what it comes to follows from them."""
    seen = status.window
    if seen is None:
        return None
    return [seen.events, seen.bad_events, *([int(seen.at.timestamp())] if seen.at else [])]


def _counted(objective_percent: float, said: Sequence[int] | None) -> WindowCount | None:
    if said is None:
        return None
    at = datetime.fromtimestamp(said[2], UTC) if said[2:] else None
    return WindowCount.of(said[0], said[1], objective_percent, at=at)


def _slo(fixed: Sequence[Any], said: Sequence[Any]) -> dict[str, Any]:
    level, words, *rest = said
    numbers, (burns, *count) = rest[: len(_SLO_NUMBERS)], rest[len(_SLO_NUMBERS) :]
    fields = _fields(_SLO_SHAPE, fixed) | _fields(_SLO_NUMBERS, numbers)
    rates = zip(fixed[-1], burns[::2], burns[1::2], strict=True)
    burn = [
        _fields(_BURN_SHAPE, alert) | {"long_burn": long, "short_burn": short} for alert, long, short in rates
    ]
    # Rows of looks at which nothing was counted yet may end with the burn rates.
    window = _counted(fields["objective_percent"], count[0]) if count else None
    return fields | {"level": _LEVELS[level], "said": words, "burn": burn, "window": window}


def _kpi(fixed: Sequence[Any], said: Sequence[Any]) -> dict[str, Any]:
    level, *numbers = said
    return _fields(_KPI_SHAPE, fixed) | _fields(_KPI_NUMBERS, numbers) | {"level": _LEVELS[level]}


def _fields(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=False))


def _written(data: Any) -> str:
    return storable(json.dumps(data, ensure_ascii=False, separators=(",", ":")))


def _finite(value: Any) -> Any:
    """Round numbers to seven digits, more than any scrape means; JSON has no infinities: they are none."""
    if isinstance(value, list):
        return [_finite(each) for each in cast("list[object]", value)]
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value
