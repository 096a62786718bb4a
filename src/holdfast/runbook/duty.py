"""`escalation/duty.yaml`: the rotas, by name."""

from typing import Annotated

from pydantic import Field

from holdfast.domain.duty import Rota
from holdfast.domain.strict import Strict

RotaName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class Duty(Strict):
    """Everybody's turns on duty.

    Attributes:
        rotas: by the name that policies use, as `rota:NAME`.
    """

    rotas: dict[RotaName, Rota] = Field(default_factory=dict)
