"""What Prometheus's HTTP API answers, as far as it is used here, and the reading of it."""

import math
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from holdfast.domain.errors import InvalidInput, MetricsUnavailable

# Prometheus's own words for "your query is wrong"; every other error is its own trouble.
_BAD_QUERY = {"bad_data", "execution"}

Sample = tuple[float, str]


class VectorSeries(BaseModel):
    """A series of an instant vector."""

    metric: dict[str, str]
    value: Sample


class MatrixSeries(BaseModel):
    """A series of a range of points."""

    metric: dict[str, str]
    values: list[Sample]


class Vector(BaseModel):
    """The result of most instant queries."""

    result_type: Literal["vector"] = Field(alias="resultType")
    result: list[VectorSeries]


class Matrix(BaseModel):
    """The result of a range query, and of an instant query that ends in a range such as `[5m]`."""

    result_type: Literal["matrix"] = Field(alias="resultType")
    result: list[MatrixSeries]


class Single(BaseModel):
    """The result of an instant query that is a bare number or text."""

    result_type: Literal["scalar", "string"] = Field(alias="resultType")
    result: Sample


Result = Annotated[Vector | Matrix | Single, Field(discriminator="result_type")]


class _Success(BaseModel):
    status: Literal["success"]
    data: Result


class _Failure(BaseModel):
    status: Literal["error"]
    error_type: str = Field(alias="errorType")
    error: str


_ANSWER: TypeAdapter[_Success | _Failure] = TypeAdapter(
    Annotated[_Success | _Failure, Field(discriminator="status")]
)


def read_answer(response: httpx.Response, *, query: str, backend: str) -> Vector | Matrix | Single:
    """Return the result of a query.

    Args:
        response: what was answered.
        query: what was asked, for the error's text.
        backend: whom, likewise, e.g. `Prometheus at http://127.0.0.1:9090`.

    Raises:
        InvalidInput: Prometheus refuses the query; the text is its own.
        MetricsUnavailable: it has trouble of its own, or something else answered in its place.
    """
    try:
        answer = _ANSWER.validate_json(response.content)
    except ValidationError:
        start = " ".join(response.text.split())[:120]
        raise MetricsUnavailable(
            f"{backend} gave no answer of its kind: HTTP {response.status_code}, {start!r}"
        ) from None
    if isinstance(answer, _Success):
        return answer.data
    if answer.error_type in _BAD_QUERY:
        raise InvalidInput(f"{backend} refuses the query '{query}': {answer.error}")
    raise MetricsUnavailable(f"{backend} has trouble: {answer.error_type}: {answer.error}")


def finite(sample: Sample) -> float | None:
    """Return a sample's number; NaN and infinities are none: they come from dividing by no traffic."""
    number = float(sample[1])
    return number if math.isfinite(number) else None
