"""The language of the person who reads: English in the source, other languages from catalogues.

A text is translated when it is filled, never when it is defined, so that one process speaks to each person in
that person's own language. English needs no catalogue, and nothing is read for it.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

LANGUAGES: Final = ("en", "ru")
SOURCE: Final = "en"
_language: ContextVar[str] = ContextVar("holdfast_language", default=SOURCE)


def language() -> str:
    """Return the language that is spoken now."""
    return _language.get()


@contextmanager
def speaking(code: str) -> Generator[None]:
    """Speak this language within the block; one that is not known is English.

    Args:
        code: `en`, `ru`, or with a region, as Telegram gives it: `ru-RU`.
    """
    primary = code.partition("-")[0].lower()
    token = _language.set(primary if primary in LANGUAGES else SOURCE)
    try:
        yield
    finally:
        _language.reset(token)


def translate(text: str) -> str:
    """Return a source text, with its placeholders, in the language that is spoken."""
    if language() == SOURCE or not text:  # the empty text is where gettext keeps a catalogue's header
        return text
    from holdfast.i18n.catalogue import catalogue_of  # noqa: PLC0415  English shall cost nothing

    return catalogue_of(language()).gettext(text)


def plural(one: str, many: str, count: int) -> str:
    """Return the form of a source text that belongs to a number, with its placeholders."""
    if language() == SOURCE:
        return one if count == 1 else many
    from holdfast.i18n.catalogue import catalogue_of  # noqa: PLC0415  English shall cost nothing

    return catalogue_of(language()).ngettext(one, many, count)


def understood(text: str) -> str:
    """Return a finished English sentence, such as a run or the rules made it, in the language that is spoken.

    It is recognised by the patterns of the catalogue, see `holdfast.i18n.phrases`; what no pattern knows stays
    as it is.
    """
    if language() == SOURCE or not text:
        return text
    from holdfast.i18n.catalogue import phrasebook_of  # noqa: PLC0415  English shall cost nothing

    return phrasebook_of(language()).understood(text)
