"""Latency histograms that add up exactly: HdrHistogram's buckets and its V2 compressed encoding.

Buckets are log-linear: linear within each power of two, 2048 in the lowest and 1024 in each further one, so
that each is at most a thousandth of its values wide (Tene, HdrHistogram; three significant digits). All
histograms have the same buckets, so a sum of histograms is the histogram of all samples, in whatever order they
are added.

The encoding is that of `HdrHistogram.encodeIntoCompressedByteBuffer` in base64, which HdrHistogram's own tools
and the `hdrhistogram` packages of Python, Go, Rust and others read.
"""

import base64
import binascii
import struct
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from holdfast.domain.errors import InvalidInput

Ints = npt.NDArray[np.int64]

HIGHEST_US: Final = 3_600_000_000  # one hour
_DIGITS: Final = 3
_HALF_BITS: Final = 10
_HALF: Final = 1 << _HALF_BITS  # buckets in each power of two above the lowest
_LINEAR: Final = 2 * _HALF  # values below have a bucket each
_PLACES: Final = (HIGHEST_US.bit_length() - _HALF_BITS + 1) * _HALF
_COOKIE, _COMPRESSED_COOKIE = 0x1C849313, 0x1C849314
_OUTER, _INNER = struct.Struct(">II"), struct.Struct(">IIIIQQd")
_LONGEST_WORD = 8  # bytes of a count that is read: 2^55 samples
_MOST_BYTES = _INNER.size + 9 * _PLACES


def _nothing() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often each latency was seen, from 1 µs to 1 h, to three significant digits; it never changes.

    Latencies below the range count as zero, those above it as the highest; each counts.

    Attributes:
        places: numbers of the buckets that hold something, rising.
        counts: of each of them, how much.
    """

    places: Ints = field(default_factory=_nothing)
    counts: Ints = field(default_factory=_nothing)

    @classmethod
    def of(cls, values_us: "array[float] | npt.NDArray[np.float64]") -> Self:
        """Return the histogram of these latencies, in microseconds; those that are no number are left out."""
        values = np.asarray(values_us, dtype=np.float64)
        if not values.size:
            return cls()
        whole = np.rint(np.clip(values[~np.isnan(values)], 0, HIGHEST_US)).astype(np.int64)
        return cls._held(np.bincount(_place_of(whole)))

    @classmethod
    def empty(cls) -> Self:
        """Return a histogram of nothing."""
        return cls()

    @classmethod
    def repeated(cls, value_us: float, times: int) -> Self:
        """Return the histogram of one latency that was seen so many times."""
        one = cls.of(np.array([value_us]))
        return cls(one.places, one.counts * times) if times > 0 else cls()

    @classmethod
    def sum_of(cls, parts: "Iterable[Histogram]") -> Self:
        """Return the histogram of all the samples of the parts."""
        held = [part for part in parts if part.places.size]
        dense = np.zeros(max((int(part.places[-1]) + 1 for part in held), default=0), dtype=np.int64)
        for part in held:
            dense[part.places] += part.counts
        return cls._held(dense)

    @classmethod
    def decoded(cls, text: str) -> Self:
        """Read what `encoded` or a HdrHistogram of this range and precision wrote; the empty text is none.

        Raises:
            InvalidInput: it is no such encoding, or has other buckets.
        """
        if not text:
            return cls()
        try:
            words = _words_read(_payload(text))
        except (binascii.Error, struct.error, zlib.error, ValueError) as error:
            raise InvalidInput(f"latency: no histogram in HdrHistogram's V2 encoding: {error}") from error
        widths = np.where(words < 0, -words, 1)
        places = np.cumsum(widths) - widths
        held = words > 0
        if words.size and words.min() < -_PLACES:  # and so that no sum of widths overflows
            raise InvalidInput("latency: the histogram counts beyond its last bucket")
        if held.any() and places[held][-1] >= _PLACES:
            raise InvalidInput("latency: the histogram counts beyond its last bucket")
        return cls(places[held], words[held])

    def encoded(self) -> str:
        """Return it in HdrHistogram's V2 compressed encoding, in base64; `decoded` gives an equal one back."""
        payload = _words_written(self._words())
        inner = _INNER.pack(_COOKIE, len(payload), 0, _DIGITS, 1, HIGHEST_US, 1.0) + payload
        packed = zlib.compress(inner, 1)
        return base64.b64encode(_OUTER.pack(_COMPRESSED_COOKIE, len(packed)) + packed).decode("ascii")

    def add(self, other: "Histogram") -> "Histogram":
        """Return the histogram of the samples of both; neither of the two changes."""
        return Histogram.sum_of((self, other))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return np.array_equal(self.places, other.places) and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash((self.places.tobytes(), self.counts.tobytes()))

    @property
    def count(self) -> int:
        """How many latencies there are."""
        return int(self.counts.sum())

    @property
    def maximum(self) -> float:
        """The upper end of the highest bucket that holds something, in microseconds; 0 for an empty one."""
        return float(_ends(self.places[-1:])[1][0]) if self.places.size else 0.0

    @property
    def minimum(self) -> float:
        """The lower end of the lowest bucket that holds something, in microseconds; 0 for an empty one."""
        return float(_ends(self.places[:1])[0][0]) if self.places.size else 0.0

    @property
    def mean(self) -> float:
        """The mean in microseconds, each latency taken as the middle of its bucket; 0 for an empty one."""
        if not self.places.size:
            return 0.0
        low, high = _ends(self.places)
        return float(((low + (high - low + 1) // 2) * self.counts).sum() / self.count)

    def percentile(self, percent: float) -> float:
        """Return the latency in microseconds that so many percent do not exceed; 0 for an empty one.

        It is the upper end of the bucket of the nearest rank, rounded up as HdrHistogram for Java does since
        2.1.10, and so never flattering: of 160 the 99th percentile is the 159th.

        Raises:
            InvalidInput: `percent` is not between 0 and 100.
        """
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Iterable[float]) -> list[float]:
        """Return several percentiles at once, see `percentile`."""
        wanted = [float(percent) for percent in percents]
        wrong = next((percent for percent in wanted if not 0 <= percent <= 100), None)  # noqa: PLR2004  percent
        if wrong is not None:
            raise InvalidInput(f"percentile: must be between 0 and 100, not {wrong:g}")
        if not self.places.size:
            return [0.0] * len(wanted)
        reached = np.cumsum(self.counts)
        # A trifle less, so that 99.9 % of 1000 stays 999 whatever the product was rounded to.
        exact = np.array(wanted) * reached[-1] / 100 * (1 - 1e-15)
        ranks = np.clip(np.ceil(exact).astype(np.int64), 1, reached[-1])
        at = self.places[np.searchsorted(reached, ranks)]
        low, high = _ends(at)
        return [float(value) for value in np.where(np.array(wanted) > 0, high, low)]

    def count_above(self, latency_us: float) -> int:
        """Say how many are in buckets that begin above a latency, in microseconds."""
        return int(self.counts[_ends(self.places)[0] > latency_us].sum())

    def seconds_after(self, begin: int) -> dict[int, int]:
        """Say in which second how many end that began evenly within one, to the width of a bucket."""
        low, high = _ends(self.places)
        after = (low + high) / 2e6
        first = np.floor(after).astype(np.int64)
        # Of each bucket the part that crosses into the next second; what is rounded is carried to the next one.
        crossing = np.diff(np.rint(np.cumsum(self.counts * (after - first))), prepend=0).astype(np.int64)
        crossing = np.clip(crossing, 0, self.counts)
        seconds = np.concatenate([first, first + 1])
        ends = np.zeros(int(seconds.max(initial=0)) + 1, dtype=np.int64)
        np.add.at(ends, seconds, np.concatenate([self.counts - crossing, crossing]))
        return {begin + int(second): int(ends[second]) for second in np.flatnonzero(ends)}

    @classmethod
    def _held(cls, dense: Ints) -> Self:
        """Keep of a count for each bucket only those that hold something."""
        places = np.flatnonzero(dense != 0)  # of booleans, which is several times as fast
        return cls(places, dense[places])

    def _words(self) -> Ints:
        """Return the words of the encoding: a count, or how many empty buckets come, as a negative number."""
        gaps = np.diff(self.places, prepend=-1) - 1
        words: Ints = np.stack([-gaps, self.counts], axis=1).ravel()
        kept: Ints = words[words != 0]
        return kept


# --- buckets ------------------------------------------------------------------------------------------------


def _place_of(whole: Ints) -> Ints:
    """Return the bucket of each value: the power of two it lies in, and its upper eleven bits."""
    # frexp is exact up to 2^53: its exponent is the number's bit length.
    octave: Ints = np.maximum(np.frexp(whole.astype(np.float64))[1].astype(np.int64) - (_HALF_BITS + 1), 0)
    places: Ints = (octave << _HALF_BITS) + (whole >> octave)
    return places


def _ends(places: Ints) -> tuple[Ints, Ints]:
    """Return the lowest and the highest whole value of each bucket."""
    octave = np.maximum((places >> _HALF_BITS) - 1, 0)
    low: Ints = (places - (octave << _HALF_BITS)) << octave
    high: Ints = low + (np.int64(1) << octave) - 1
    return low, high


# --- the encoding -------------------------------------------------------------------------------------------


def _payload(text: str) -> bytes:
    """Unwrap base64, zlib and both headers.

    Raises:
        ValueError: something else is in there.
    """
    raw = base64.b64decode(text, validate=True)
    cookie, length = _OUTER.unpack_from(raw)
    if cookie | 0x10 != _COMPRESSED_COOKIE or length != len(raw) - _OUTER.size:
        raise ValueError("the outer header is another one")
    reader = zlib.decompressobj()
    inner = reader.decompress(raw[_OUTER.size :], _MOST_BYTES)
    if not reader.eof:
        raise ValueError("it ends too early, or is too long")
    cookie, length, shift, digits, lowest, highest, _ = _INNER.unpack_from(inner)
    if cookie | 0x10 != _COOKIE or length != len(inner) - _INNER.size:
        raise ValueError("the inner header is another one")
    if (shift, digits, lowest, highest) != (0, _DIGITS, 1, HIGHEST_US):
        raise ValueError(
            f"its range is {lowest} to {highest} with {digits} digits, not 1 to {HIGHEST_US} with {_DIGITS}"
        )
    return inner[_INNER.size :]


def _words_written(words: Ints) -> bytes:
    """Write words as ZigZag LEB128: seven bits a byte, the lowest first."""
    if not words.size:
        return b""
    zigzag = ((words << 1) ^ (words >> 63)).astype(np.uint64)
    longest = (int(zigzag.max()).bit_length() + 6) // 7
    shifts = np.arange(0, 7 * longest, 7, dtype=np.uint64)
    parts = zigzag[:, None] >> shifts
    used = parts > 0
    used[:, 0] = True
    more = np.zeros_like(used)
    more[:, :-1] = used[:, 1:]
    octets = ((parts & np.uint64(0x7F)) | (more * np.uint64(0x80))).astype(np.uint8)
    return octets[used].tobytes()


def _words_read(payload: bytes) -> Ints:
    """Read what `_words_written` wrote.

    Raises:
        ValueError: a word is cut off, or longer than any that counts samples.
    """
    octets = np.frombuffer(payload, dtype=np.uint8)
    if not octets.size:
        return _nothing()
    last = np.flatnonzero(octets < 0x80)  # noqa: PLR2004  the highest bit says that more follow
    if not last.size or last[-1] != octets.size - 1:
        raise ValueError("its last count is cut off")
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() >= _LONGEST_WORD:
        raise ValueError("a count is longer than eight bytes")
    within = np.arange(octets.size) - np.repeat(first, last - first + 1)
    zigzag = np.add.reduceat((octets & 0x7F).astype(np.int64) << (7 * within), first)
    words: Ints = (zigzag >> 1) ^ -(zigzag & 1)
    return words
