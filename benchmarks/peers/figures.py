"""What a part of the benchmark found, held against its bound."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One comparison.

    Attributes:
        ours, reference: measured in the same run; None where the reference cannot run here.
        bound: for the ratio of the two.
        holds: whether it is kept.
        more: further figures for the JSON object.
    """

    ours: float
    reference: float | None
    bound: float
    holds: bool
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        ratio = round(self.ours / self.reference, 3) if self.reference else None
        rounded = {"ours": round(self.ours, 2), "reference": self.reference and round(self.reference, 2)}
        return {**rounded, "ratio": ratio, "bound": self.bound, **self.more, "holds": self.holds}


def result(parts: Mapping[str, Figure]) -> str:
    """Return the JSON object of all parts: the first one's figures, and the others below their names."""
    head, *others = parts
    found = {"name": "loadgen", "part": head, **parts[head].plain()}
    found |= {name: parts[name].plain() for name in others}
    found["holds"] = all(part.holds for part in parts.values())
    return json.dumps(found)
