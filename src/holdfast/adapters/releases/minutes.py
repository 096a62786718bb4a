"""`minutes.csv`: one row a case, minute, pod and call edge."""

import csv
import gzip
import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple, TextIO
from zlib import error as ZlibError  # noqa: N812  it is a class

from holdfast.domain.errors import InvalidInput

MINUTES_FILES: Final = ("minutes.csv", "minutes.csv.gz")
COLUMNS: Final = (
    "case",
    "timestamp",
    "pod",
    "caller",
    "callee",
    "success_rate_pct",
    "latency_ms",
    "cpu_pct",
    "memory_pct",
)
_NUMBERS: Final = COLUMNS[5:]
_ALL_PERCENT: Final = 100.0

Edge = tuple[str, str]


class Sample(NamedTuple):
    """What one row says; None where the cell is empty or `nan`."""

    success_percent: float | None
    latency_ms: float | None
    cpu_percent: float | None
    memory_percent: float | None


@dataclass
class CaseRows:
    """The rows of one case.

    Attributes:
        earliest: the first timestamp, in Unix seconds; minutes are counted from it.
        pods: for each pod and edge, its rows as pairs of timestamp and sample.
    """

    earliest: float = math.inf
    pods: dict[str, dict[Edge, list[tuple[float, Sample]]]] = field(
        default_factory=dict[str, dict[Edge, list[tuple[float, Sample]]]]
    )


def read_minutes(directory: Path) -> dict[str, CaseRows]:
    """Read the rows of all cases.

    Raises:
        InvalidInput: the file is missing or wrong; the text names file, line and column.
    """
    path = _the_file(directory)
    cases: dict[str, CaseRows] = {}
    with _opened(path) as file:
        for line, row in _rows(path, file):
            _keep(cases, row, f"{path}:{line}")
    return cases


def _the_file(directory: Path) -> Path:
    paths = [directory / name for name in MINUTES_FILES]
    there = [path for path in paths if path.is_file()]
    if len(there) != 1:
        names = " or ".join(MINUTES_FILES)
        found = "both are there: keep one" if there else "there is none"
        raise InvalidInput(f"{directory}: needs {names}; {found}")
    return there[0]


@contextmanager
def _opened(path: Path) -> Generator[TextIO]:
    """Open the file, and say in words whatever goes wrong while it is read."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except (OSError, EOFError, ZlibError) as error:
        raise InvalidInput(f"{path}: cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}: is not UTF-8 text: save the file as UTF-8") from None
    except csv.Error as error:
        raise InvalidInput(f"{path}: is no CSV: {error}") from None


def _rows(path: Path, file: TextIO) -> Iterator[tuple[int, Sequence[str]]]:
    """Give each row's columns in our order, with its line."""
    reader = csv.reader(file)
    header = next(reader, list[str]())
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise InvalidInput(f"{path}:1: {missing[0]}: the column is missing; needed are {','.join(COLUMNS)}")
    ours = itemgetter(*(header.index(column) for column in COLUMNS))
    for row in reader:
        if row and len(row) != len(header):
            raise InvalidInput(f"{path}:{reader.line_num}: has {len(row)} cells, the header has {len(header)}")
        if row:
            yield reader.line_num, ours(row)


def _keep(cases: dict[str, CaseRows], row: Sequence[str], where: str) -> None:
    name, stamp, pod, caller, callee, *cells = row
    for column, cell in zip(COLUMNS, row[:5], strict=False):
        if not cell:
            raise InvalidInput(f"{where}: {column}: is empty")
    at = _number(stamp, "timestamp", where)
    if at is None:
        raise InvalidInput(f"{where}: timestamp: is no number of Unix seconds (got {stamp!r})")
    sample = Sample(*(_number(cell, column, where) for cell, column in zip(cells, _NUMBERS, strict=True)))
    if sample.success_percent is not None and not 0 <= sample.success_percent <= _ALL_PERCENT:
        raise InvalidInput(f"{where}: success_rate_pct: must be 0 to 100 (got {sample.success_percent:g})")
    case = cases.setdefault(name, CaseRows())
    case.earliest = min(case.earliest, at)
    case.pods.setdefault(pod, {}).setdefault((caller, callee), []).append((at, sample))


def _number(cell: str, column: str, where: str) -> float | None:
    try:
        number = float(cell) if cell else math.nan
    except ValueError:
        number = math.inf
    if math.isinf(number):
        raise InvalidInput(f"{where}: {column}: is no number (got {cell!r})")
    return None if math.isnan(number) else number
