"""What the client can change of either side while it runs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

EscalationOrder = Literal["fifo", "tier_value"]
OrderValueSource = Literal["ticket", "crm_each_time"]
Side = Literal["stable", "canary"]
SIDES: tuple[Side, Side] = ("stable", "canary")
PODS = 20
PERCENT_A_POD = 100 // PODS


class SideSettings(BaseModel):
    """The settings of one side; a field's description says what is allowed.

    Attributes:
        bot_rate_limit_per_s: messages a second that the bot gateway takes when all pods run these settings; a
            pod has its even part of it.
        crm_pool_size: connections to the CRM that one pod may hold.
        crm_keep_alive_s: how long a pod keeps an idle connection to the CRM, in seconds.
        escalation_order: who waits least: first come, or the highest tier and then the highest order value.
        order_value_source: where `tier_value` takes the value from: the ticket, or the CRM at each pick.
        crm_write_leads: whether a ticket is filed in the CRM as a lead before it is answered; off, it is
            answered under a number of the shop's own, and nobody files it later.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    bot_rate_limit_per_s: Annotated[
        float, Field(ge=0.1, le=1000, description="give a number of messages from 0.1 to 1000")
    ]
    crm_pool_size: Annotated[
        int, Field(ge=1, le=100, description="give a whole number of connections from 1 to 100")
    ]
    crm_keep_alive_s: Annotated[float, Field(ge=0, le=3600, description="give seconds from 0 to 3600")]
    escalation_order: Annotated[EscalationOrder, Field(description="give fifo or tier_value")]
    order_value_source: Annotated[OrderValueSource, Field(description="give ticket or crm_each_time")]
    crm_write_leads: Annotated[bool, Field(description="give true or false")]


# Enough for ordinary days, and nobody looked at them since.
DEFAULTS = SideSettings(
    bot_rate_limit_per_s=10.0,
    crm_pool_size=1,
    crm_keep_alive_s=60.0,
    escalation_order="fifo",
    order_value_source="ticket",
    crm_write_leads=True,
)
