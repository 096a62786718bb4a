"""Reads the version out of the zip that GitHub makes of an artefact."""

import io
import zipfile
import zlib
from typing import Final

from holdfast.domain.errors import InvalidInput, Unavailable

_LONGEST_VERSION: Final = 100


def version_in(content: bytes, file: str) -> str:
    """Return the version.

    Args:
        content: the zip.
        file: path of the file in it that holds the version and nothing else.

    Raises:
        Unavailable: it is no whole zip.
        InvalidInput: the file is not in it, or holds something else than a version.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if file not in archive.namelist():
                names = ", ".join(archive.namelist()[:5]) or "nothing"
                raise InvalidInput(f"there is no file '{file}' in it, but {names}")
            with archive.open(file) as opened:
                # A little more than a version is enough to see that it is none, however large the file is.
                text = opened.read(4 * _LONGEST_VERSION + 2)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise Unavailable(f"it is no whole zip file ({type(error).__name__})") from None
    return _checked(text, file)


def _checked(text: bytes, file: str) -> str:
    version = text.decode("utf-8-sig", errors="replace").strip()
    if not version or len(version) > _LONGEST_VERSION or not version.isprintable():
        raise InvalidInput(
            f"its file '{file}' does not hold a version: one line of at most {_LONGEST_VERSION} signs"
        )
    return version
