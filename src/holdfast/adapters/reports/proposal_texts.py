"""What a report proposes to tune, by the rule that found it; the languages are in the catalogue."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

BY_RULE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "full_while_slow": (
            "{context}: {resource} was {used} % used while {kpi} was {value}. Raise it before the next "
            "campaign."
        ),
        "full": "{context}: {resource} was {used} % used while promises were in danger. Raise it.",
        "nearly_full": "{context}: {resource} was up to {used} % used. Raise it before a larger campaign.",
        "test_too_kind": (
            "{context} broke at {broke} sessions/s, though the load test carried {capacity}. Make its mix of "
            "requests more like the real one."
        ),
        "peak_higher": (
            "The peak was {peak} sessions/s, {expected} were expected. Set expected_peak higher, and "
            "test with it."
        ),
        "peak_lower": (
            "The peak was {peak} sessions/s, {expected} were expected. Expect less, or find out who did "
            "not come."
        ),
        "promise_broken": (
            "{context}, {subject}: {sli} instead of {objective}, in breach for {span}. Mend this first, "
            "or promise less."
        ),
        "tighten": (
            "{context}, {subject}: {sli} were good, {used} % of the budget was used. The objective of "
            "{objective} "
            "could be tighter."
        ),
        "burned_quietly": (
            "{context}, {subject}: the budget burned for {span} without a breach. Look at the thresholds "
            "of its alerts."
        ),
        "slow_gates": (
            "Half of the {gates} gates waited {span} or longer for an answer. Name deputies, or ask earlier."
        ),
        "late_answer": (
            "{context}: {person} took over after {span} (breach {number}). Shorten the steps of the "
            "escalation policy."
        ),
        "tasks_missed": (
            "{missed} of {all} tasks were late or never done, the first of them: {task}. Give them "
            "earlier deadlines "
            "or other owners."
        ),
        "role_empty": (
            "Nobody took the role {subject}; people asked: {asked}. Name candidates who can be reached."
        ),
        "silent_metrics": (
            "{silent} of {looks} looks at the metrics got no answer. Mend the monitoring before the next "
            "campaign."
        ),
        "not_measured": "{context}, {subject}: {unknown} % of the looks had no data. Check its queries.",
        "spare": "{context}: {resource} was never more than {used} % used. There is room to make it smaller.",
    }
)
