"""What everything that people write into files is made of: strict models and readable durations."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(value: Any) -> Any:
    """Read `90s`, `10m`, `2h` or `7d`; anything else is left to the model.

    Raises:
        ValueError: the unit is missing, or it is longer than anything can be.
    """
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value.strip())):
        try:
            return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
        except OverflowError:
            raise ValueError("longer than anything can be") from None
    if isinstance(value, int | float):
        raise ValueError("write the unit: 90s, 10m, 2h or 7d")  # noqa: TRY004  pydantic wants ValueError
    return value


def write_duration(duration: timedelta) -> str:
    """Write a duration so that it reads back as the same."""
    # A float's own text would say 2.592e+06 for thirty days, which nobody reads back.
    return f"{duration.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration, json_schema_input_type=str),
    PlainSerializer(write_duration, return_type=str),
    Field(gt=timedelta(0)),
]


class Strict(BaseModel):
    """A frozen model that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)
