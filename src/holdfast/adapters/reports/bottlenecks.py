"""Which resources ran short while their contexts were slow, and what moved with them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np

from holdfast.adapters.reports.figures import Bottleneck, KpiFigures
from holdfast.adapters.reports.levels import Flags, slow_looks
from holdfast.adapters.reports.looks import Looks
from holdfast.verdict.correlation import Link, moved_together

_SHOWN: Final = 5
_WORTH_SAYING: Final = 50  # percent of a resource, where nothing was slow
_AROUND: Final = 120  # looks before and after, to learn what is usual
_FEWEST, _MOST = 40, 1500  # looks that are correlated
_LONGEST_LAG: Final = 5


def bottlenecks(looks: Looks, kpis: Sequence[KpiFigures]) -> list[Bottleneck]:
    """Return the resources that were used most while their context was slow; of calm ones those half used."""
    resources = [kpi for kpi in kpis if kpi.resource and kpi.used_percent is not None]
    slow = [
        _bottleneck(looks, kpi, kpis, while_slow=True) for kpi in resources if kpi.slow_used_percent is not None
    ]
    if slow:
        return sorted(slow, key=lambda found: -found.used_percent)[:_SHOWN]
    busy = [kpi for kpi in resources if (kpi.used_percent or 0) >= _WORTH_SAYING]
    calm = [_bottleneck(looks, kpi, kpis, while_slow=False) for kpi in busy]
    return sorted(calm, key=lambda found: -found.used_percent)[:_SHOWN]


def _bottleneck(looks: Looks, kpi: KpiFigures, kpis: Sequence[KpiFigures], *, while_slow: bool) -> Bottleneck:
    slow = slow_looks(looks, kpi.context)
    symptom = next(
        (k for k in kpis if k.context == kpi.context and not k.resource and k.unit in {"s", "ms"}), None
    )
    found = Bottleneck(
        context=kpi.context,
        title=kpi.title,
        resource=kpi.name,
        label=kpi.label,
        while_slow=while_slow,
        used_percent=(kpi.slow_used_percent if while_slow else kpi.used_percent) or 0.0,
        well_used_percent=kpi.well_used_percent if while_slow else None,
        slow_minutes=float(looks.minutes[slow].sum()),
    )
    if symptom is None or not while_slow:
        return found
    told = {"with_kpi": symptom.label, "kpi_value": symptom.slow, "kpi_unit": symptom.unit}
    return found.model_copy(update=told | _link(looks, kpi, symptom, slow))


def _link(looks: Looks, resource: KpiFigures, symptom: KpiFigures, slow: Flags) -> dict[str, float]:
    """Return how the two moved together; nothing where there are too few looks, or it may be chance."""
    places = np.flatnonzero(slow)
    first, end = max(0, int(places[0]) - _AROUND), min(len(looks), int(places[-1]) + _AROUND)
    first = max(first, end - _MOST)
    if end - first < _FEWEST:
        return {}
    series = {
        "resource": list(looks.kpis[resource.context, resource.name].value[first:end]),
        "symptom": list(looks.kpis[symptom.context, symptom.name].value[first:end]),
    }
    step = timedelta(seconds=looks.step)
    links = moved_together(series, step=step, longest_lag=_LONGEST_LAG)
    return _told(links[0]) if links else {}


def _told(link: Link) -> dict[str, float]:
    lag = link.lag / timedelta(minutes=1)
    return {"coefficient": link.coefficient, "lag_minutes": lag if link.leader == "resource" else -lag}
