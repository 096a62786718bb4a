"""An Alertmanager configuration for the alerts of a campaign.

Pages go at once, tickets wait, and a ticket is silent while its page is open. Needs Alertmanager 0.22
(`matchers`).
"""

from datetime import timedelta
from typing import Final

from holdfast.slo.queries import promql
from holdfast.slo.rules import RuleSource
from holdfast.slo.yaml_text import Plain, yaml_text

_PAGE: Final = {"group_wait": timedelta(seconds=1), "group_interval": timedelta(minutes=1)}
_TICKET: Final = {"group_wait": timedelta(minutes=5), "group_interval": timedelta(minutes=30)}
_PAGE_AGAIN, _TICKET_AGAIN = timedelta(minutes=30), timedelta(days=1)


def alertmanager_config(source: RuleSource, *, receiver: str) -> str:
    """Return a whole configuration, to be used as it is or merged into one that is there.

    Args:
        source: the campaign; alerts are known by their label `holdfast_campaign`.
        receiver: name of the receiver that gets them. It is declared without any integration: whoever
            operates the Alertmanager says there how it is reached.
    """
    ours = f'holdfast_campaign="{source.campaign}"'
    route: Plain = {
        "receiver": receiver,
        "matchers": [ours],
        "group_by": ["holdfast_campaign", "context"],
        "routes": [_route("page", _PAGE, _PAGE_AGAIN), _route("ticket", _TICKET, _TICKET_AGAIN)],
    }
    inhibition: Plain = {
        "source_matchers": [ours, 'severity="page"'],
        "target_matchers": [ours, 'severity="ticket"'],
        "equal": ["holdfast_campaign", "context", "slo"],
    }
    document: dict[str, Plain] = {
        "route": {"receiver": receiver, "routes": [route]},
        "inhibit_rules": [inhibition],
        "receivers": [{"name": receiver}],
    }
    header = [
        *source.header("Alertmanager route"),
        "To merge: copy what is below the first 'routes' into yours, above routes that match everything, and",
        f"the inhibition into your 'inhibit_rules'; '{receiver}' must be one of your receivers.",
        "Check: amtool check-config FILE",
    ]
    return yaml_text(document, header=header)


def _route(severity: str, waits: dict[str, timedelta], again: timedelta) -> Plain:
    return {
        "matchers": [f'severity="{severity}"'],
        **{name: promql(wait) for name, wait in waits.items()},
        "repeat_interval": promql(again),
    }
