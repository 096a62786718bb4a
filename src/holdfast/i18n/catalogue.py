"""The catalogues of a language: all `.po` files in its folder, read when they are first needed.

The files are the source; nothing compiled is kept beside them.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from holdfast.i18n.phrases import Phrase, Phrasebook

FOLDER: Final = Path(__file__).parent
PHRASE: Final = "phrase"  # the context of the patterns by which finished sentences are recognised


def files_of(code: str) -> list[Path]:
    """Return the catalogue files of a language, in the order in which they are read."""
    return sorted((FOLDER / code).glob("*.po"))


def read(path: Path, code: str) -> Catalog:
    """Read one file.

    Raises:
        PoFileError: it is no catalogue; the message names the line.
    """
    with path.open("rb") as file:
        return read_po(file, locale=code, abort_invalid=True)


@cache
def _merged(code: str) -> Catalog:
    merged = Catalog(locale=code)
    for path in files_of(code):
        for message in read(path, code):
            if message.id:
                merged.add(message.id, message.string, flags=message.flags, context=message.context)
    return merged


@cache
def catalogue_of(code: str) -> GNUTranslations:
    """Return everything that is translated into a language, the phrases left out."""
    texts = Catalog(locale=code)
    for message in _merged(code):
        if message.id and message.context != PHRASE:
            texts.add(message.id, message.string, flags=message.flags, context=message.context)
    compiled = BytesIO()
    write_mo(compiled, texts)
    compiled.seek(0)
    return GNUTranslations(compiled)


@cache
def phrasebook_of(code: str) -> Phrasebook:
    """Return the phrases of a language."""
    return Phrasebook(_phrases(code), catalogue_of(code))


def _phrases(code: str) -> Iterator[Phrase]:
    for message in _merged(code):
        if not message.id or message.context != PHRASE or message.fuzzy:
            continue
        if isinstance(message.id, str) and isinstance(message.string, str) and message.string:
            with suppress(ValueError):  # the tests find it; a person at night shall rather read the others
                yield Phrase.of(message.id, message.string)
