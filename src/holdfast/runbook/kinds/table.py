"""Which runbook kinds there are; a new kind adds one line here."""

from collections.abc import Mapping
from typing import Final

from holdfast.domain.strict import Strict
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.kinds.incident import IncidentSpec
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.kinds.rollout import RolloutSpec

KINDS: Final[Mapping[str, type[Strict]]] = {
    "rollout": RolloutSpec,
    "incident": IncidentSpec,
    "campaign": CampaignSpec,
    "load": LoadSpec,
}
