"""Recognises finished English sentences by patterns, and says them in another language.

Runs, rules and adapters make sentences that are kept in histories for ever, so they stay English in the data
and are translated where they are shown. A pattern is the sentence with `{placeholders}` for what differs. The
name of a placeholder says what may stand there:

* names in `NUMBERS` take digits only, those in `WORDS` one word, both as they are; those in `MEASURES` a number
  with its unit;
* names in `VERBATIM` take any text and leave it as its author wrote it: titles, lists of names, values;
* any other takes any text, which is understood in its turn, so that a sentence within a sentence is translated.

Of several readings of a text the one counts in which the patterns' own letters cover most of it. A text of
several sentences may be read as a whole or in parts. A pattern with very few letters, such as
`{by} or {others}`, counts only where all else is names or something of it is understood too: else it would
spoil what people wrote themselves. Nothing here raises, and the work for one text is bounded.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from gettext import GNUTranslations
from string import Formatter
from typing import Final

NUMBERS: Final = frozenset({"n", "m", "share", "low", "high", "least", "status", "step", "steps", "round"})
WORDS: Final = frozenset(
    {"by", "to", "whose", "owner", "name", "run", "gate", "channel", "stage", "system", "version", "metric"}
    | {
        "evidence",
        "caller",
        "callee",
        "field",
        "kind",
        "day",
        "clock",
        "command",
        "part",
        "setting",
        "revision",
    }
    | {"pace", "rota", "act", "wanted"}
)
MEASURES: Final = frozenset({"value", "baseline"})
VERBATIM: Final = frozenset(
    {"title", "names", "values", "known", "example", "zone", "until", "since", "at", "way", "query", "url"}
    | {"address", "path", "words", "entry", "recorded", "there"}
)

_LONGEST: Final = 4096
_MOST_READINGS: Final = 300
_MOST_PARTS: Final = 12
_DEEPEST: Final = 20
_FEW_LETTERS: Final = 5
_MOST_COLONS: Final = 4
_KEPT: Final = 4096
_NAMES: Final = re.compile(r"[\w./-]+(?:, [\w./-]+)*")
_NUMBER: Final = re.compile(r"-?\d[\d.,]*(?: [kMGT])?")
_SENTENCES: Final = re.compile(r"(?<=[.!?]) +(?=\S)")
_CLAUSES: Final = re.compile(r"(?<=;) +|(?<= ·) +")
_MARK: Final = re.compile(r"[^\w\s'\"(“«–-]{1,3} (?=\S)")
_MEASURES: Final = re.compile(r"\d[\d.,]* (?:s|ms|µs|min|h|d)(?: \d[\d.,]* (?:s|ms|µs|min|h|d)){0,3}")
_MEASURE: Final = re.compile(r"(?:[-–'\"]?\d|–)\S*(?: [^\s=]{1,12}){0,3}|'[^']*'")
_LISTS: Final = re.compile(r"(?<=\w) (and) (?=[\w-]+$)|(?<=\d) (of) (?=\d)")
_MOMENTS: Final = re.compile(
    r"\b(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?(\d{1,2}) "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?= \d{4}\b| \d\d:\d\d)"
)


@dataclass(frozen=True)
class Phrase:
    """One pattern and its translation.

    Attributes:
        literals: what stands around the placeholders, one more than there are of them.
        names: of the placeholders.
        said: the translation.
        weight: how many letters the pattern itself has.
    """

    literals: tuple[str, ...]
    names: tuple[str, ...]
    said: str
    weight: int

    @classmethod
    def of(cls, template: str, said: str) -> "Phrase":
        """Read a pattern.

        Raises:
            ValueError: two placeholders stand side by side, or it has no letters of its own.
        """
        literals, names = [""], list[str]()
        for literal, name, _, _ in Formatter().parse(template):
            literals[-1] += literal
            if name is not None:
                names.append(name)
                literals.append("")
        weight = sum(map(str.isalpha, "".join(literals)))
        if not weight or not all(literals[1:-1]):
            raise ValueError(f"cannot be told from other sentences: {template!r}")
        return cls(tuple(literals), tuple(names), said, weight)

    @property
    def longest(self) -> str:
        """The longest of its literals: what a text must hold to be such a sentence."""
        return max(self.literals, key=len)

    @property
    def first_word(self) -> str:
        """The word with which each such sentence begins; empty where it differs."""
        word, space, _ = self.literals[0].partition(" ")
        return word if space else ""

    def match(self, text: str) -> dict[str, str] | None:
        """Return what stands for the placeholders; None when this is another sentence.

        Each literal is looked for once, from left to right, so the time grows with the length only.
        """
        first, last = self.literals[0], self.literals[-1]
        end = len(text) - len(last)
        if not text.startswith(first) or not text.endswith(last) or end - len(first) < len(self.names):
            return None
        found: dict[str, str] = {}
        position = len(first)
        for name, literal in zip(self.names[:-1], self.literals[1:-1], strict=True):
            at = _next(text, name, literal, position, end)
            if at < 0 or found.setdefault(name, text[position:at]) != text[position:at]:
                return None
            position = at + len(literal)
        rest = text[position:end]
        if not _fits(self.names[-1], rest) or found.setdefault(self.names[-1], rest) != rest:
            return None
        return found


def _next(text: str, name: str, literal: str, position: int, end: int) -> int:
    """Return where the literal follows something that may stand for the placeholder; -1 for nowhere."""
    at = text.find(literal, position + 1, end)
    while at >= 0 and not _fits(name, text[position:at]):
        if name in WORDS and " " in text[position:at]:
            return -1
        at = text.find(literal, at + 1, end)
    return at


def _fits(name: str, text: str) -> bool:
    if name in NUMBERS:
        return _NUMBER.fullmatch(text) is not None
    if name in WORDS:
        return bool(text) and " " not in text
    if name in MEASURES:
        return _MEASURE.fullmatch(text) is not None
    return bool(text)


def _is_names(name: str, text: str) -> bool:
    return name in NUMBERS | WORDS | MEASURES or _NAMES.fullmatch(text) is not None


@dataclass(frozen=True)
class _Reading:
    """A text as it was understood.

    Attributes:
        score: letters of it that patterns know.
        text: in the other language.
    """

    score: int
    text: str


class Phrasebook:
    """All phrases of one language."""

    def __init__(self, phrases: Iterable[Phrase], catalogue: GNUTranslations) -> None:
        """Use these phrases; units and names of days and months are in the catalogue."""
        self._catalogue = catalogue
        self._whole: dict[str, Phrase] = {}
        self._by_word: dict[str, list[Phrase]] = {}
        self._others: list[tuple[str, Phrase]] = []
        for phrase in phrases:
            if not phrase.names:
                self._whole[phrase.literals[0]] = phrase
            elif phrase.first_word:
                self._by_word.setdefault(phrase.first_word, []).append(phrase)
            else:
                self._others.append((phrase.longest, phrase))
        self.understood: Callable[[str], str] = lru_cache(maxsize=_KEPT)(self._understood)

    def _understood(self, text: str) -> str:
        if len(text) > _LONGEST:
            return text
        return "\n".join(_Reader(self, line).read(line).text for line in text.split("\n"))

    def exact(self, text: str) -> Phrase | None:
        """Return the phrase that is this text, letter by letter; what the bot itself says counts as well."""
        phrase = self._whole.get(text)
        if phrase is None and " " in text and "{" not in text:  # such as a reason that was chosen by a tap
            said = self._catalogue.gettext(text)
            phrase = Phrase((text,), (), said, sum(map(str.isalpha, text))) if said != text else None
        return phrase

    def beginning(self, text: str) -> list[Phrase]:
        """Return the phrases with placeholders that begin with the first word of this text."""
        return self._by_word.get(text.partition(" ")[0], [])

    def within(self, text: str) -> list[Phrase]:
        """Return the phrases that begin with a placeholder and may be this text, or a part of it."""
        return [phrase for longest, phrase in self._others if longest in text]

    def atom(self, text: str) -> _Reading | None:
        """Return a duration or a moment with its words in the other language; None where there are none."""
        if _MEASURES.fullmatch(text):
            parts = text.split(" ")
            return _Reading(1, " ".join(self._catalogue.pgettext("unit", part) for part in parts))
        said = _LISTS.sub(self._joint, _MOMENTS.sub(self._day, text))
        return _Reading(1, said) if said != text else None

    def _joint(self, found: re.Match[str]) -> str:
        return f" {self._catalogue.pgettext('list', found[1] or found[2])} "

    def _day(self, found: re.Match[str]) -> str:
        parts = (part for part in found.groups() if part)
        return " ".join(self._catalogue.pgettext("date", part) for part in parts)


class _Reader:
    """Reads one text; stops to look for better readings when that takes too long."""

    def __init__(self, book: Phrasebook, text: str) -> None:
        self._book = book
        self._within = book.within(text)  # whatever a part of the text may be is among these
        self._known: dict[str, _Reading] = {}
        self._depth = 0

    def read(self, text: str) -> _Reading:
        """Return the best reading."""
        known = self._known.get(text)
        if known is not None:
            return known
        plain = _Reading(0, text)
        if len(self._known) >= _MOST_READINGS or self._depth >= _DEEPEST:
            return plain
        self._known[text] = plain
        self._depth += 1
        self._known[text] = best = max(self._readings(text), key=lambda reading: reading.score, default=plain)
        self._depth -= 1
        return best

    def _readings(self, text: str) -> Iterator[_Reading]:
        """Yield readings; of equal ones the first counts, so a phrase does not reach over several sentences."""
        yield from self._parts(text, _SENTENCES)
        yield from self._wholes(text)
        if atom := self._book.atom(text):
            yield atom
        yield from self._parts(text, _CLAUSES)
        yield from self._labelled(text)
        yield from self._marked(text)

    def _wholes(self, text: str) -> Iterator[_Reading]:
        """Yield readings as one phrase, with or without its full stop and its capital letter."""
        bare = text.removesuffix(".")
        if bare != text:
            yield from (_Reading(r.score, f"{r.text}.") for r in self._phrases(bare))
        yield from self._phrases(text)
        small = f"{bare[:1].lower()}{bare[1:]}"
        if small != bare:
            end = "." if bare != text else ""
            yield from (
                _Reading(r.score, f"{r.text[:1].upper()}{r.text[1:]}{end}") for r in self._phrases(small)
            )

    def _phrases(self, text: str) -> Iterator[_Reading]:
        exact = self._book.exact(text)
        if exact is not None:
            yield _Reading(exact.weight, exact.said)
        for phrase in (*self._book.beginning(text), *self._within):
            found = phrase.match(text)
            if found is not None:
                yield from self._filled(phrase, found)

    def _filled(self, phrase: Phrase, found: dict[str, str]) -> Iterator[_Reading]:
        parts = {name: self._part(name, text) for name, text in found.items()}
        inner = sum(part.score for part in parts.values())
        if phrase.weight < _FEW_LETTERS and not inner and not all(map(_is_names, found, found.values())):
            return
        score = phrase.weight + inner
        yield _Reading(score, phrase.said.format(**{name: part.text for name, part in parts.items()}))

    def _part(self, name: str, text: str) -> _Reading:
        """Read what stands for a placeholder."""
        if name in NUMBERS or name in WORDS:
            return _Reading(0, text)
        if name in VERBATIM or name in MEASURES:
            atom = self._book.atom(text)
            return _Reading(0, atom.text if atom else text)
        return self.read(text)

    def _parts(self, text: str, boundary: re.Pattern[str]) -> Iterator[_Reading]:
        """Yield the best reading in parts: neighbours that only together are a phrase stay together."""
        parts = boundary.split(text)
        if not 1 < len(parts) <= _MOST_PARTS:
            return
        best = [_Reading(0, "")]  # of the first so many parts
        for end in range(1, len(parts) + 1):
            best.append(max(self._endings(parts, best, end), key=lambda reading: reading.score))
        yield best[-1]

    def _endings(self, parts: list[str], best: list[_Reading], end: int) -> Iterator[_Reading]:
        for start in range(end - 1, -1, -1):
            if start == 0 and end == len(parts):
                continue  # the whole text is read elsewhere
            piece = " ".join(parts[start:end])
            last = self._piece(piece) if end - start == 1 else self._together(piece)
            if last is not None:
                before = best[start]
                said = f"{before.text} {last.text}" if start else last.text
                yield _Reading(before.score + last.score, said)

    def _piece(self, piece: str) -> _Reading:
        mark = piece[-1:] if piece[-1:] in {";", "·"} else ""
        reading = self.read(piece.removesuffix(mark).rstrip() if mark else piece)
        space = " " if mark == "·" else ""
        return _Reading(reading.score, f"{reading.text}{space}{mark}")

    def _together(self, piece: str) -> _Reading | None:
        mark = ";" if piece.endswith(";") else ""
        best = max(self._wholes(piece.removesuffix(mark)), key=lambda reading: reading.score, default=None)
        return _Reading(best.score, f"{best.text}{mark}") if best else None

    def _marked(self, text: str) -> Iterator[_Reading]:
        """Yield the reading of what stands after an emoji."""
        mark = _MARK.match(text)
        if mark is not None:
            reading = self.read(text[mark.end() :])
            yield _Reading(reading.score, f"{mark[0]}{reading.text}")

    def _labelled(self, text: str) -> Iterator[_Reading]:
        """Yield readings as `label: sentence`, where a label may be a title or a name that stays as it is."""
        at = -1
        for _ in range(_MOST_COLONS):
            at = text.find(": ", at + 1)
            if at <= 0:
                return
            label = self._label(text[:at])
            rest = self.read(text[at + 2 :])
            yield _Reading(label.score + rest.score, f"{label.text}: {rest.text}")

    def _label(self, text: str) -> _Reading:
        """Read what stands before a colon; a single word is the name of a setting or of a person."""
        plain = _Reading(0, text)
        if " " not in text:
            return plain
        return max(self._wholes(text), key=lambda reading: reading.score, default=plain)
