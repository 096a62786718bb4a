from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from holdfast.domain.strict import Duration

ADAPTER: TypeAdapter[timedelta] = TypeAdapter(Duration)


@given(st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=4000)))
def test_every_duration_survives_the_wire_exactly(duration: timedelta) -> None:
    written = ADAPTER.dump_python(duration, mode="json")
    assert ADAPTER.validate_python(written) == duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5 h", 5400), ("7d", 604800), ("0.25s", 0.25)]
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert ADAPTER.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("wrong", [90, "90", "ten minutes", "-5m", "0s", "", "5 w"])
def test_a_duration_without_a_sane_unit_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(wrong)
