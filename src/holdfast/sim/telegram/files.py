"""Files that bots sent."""

import hashlib
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.sim.telegram.database import Database
from holdfast.sim.telegram.errors import bad_request
from holdfast.sim.telegram.params import Upload
from holdfast.sim.telegram.shapes import Json

MAX_PHOTO_BYTES = 10 << 20
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_JPEG_SIZE_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MAX_RATIO = 20


@dataclass(frozen=True)
class StoredFile:
    """A file by its id."""

    file_id: str
    name: str
    mime_type: str
    content: bytes

    @property
    def description(self) -> Json:
        """The fields that photos and documents share."""
        unique_id = hashlib.sha256(self.content).hexdigest()[:16]
        return {"file_id": self.file_id, "file_unique_id": unique_id, "file_size": len(self.content)}


class Files:
    """Keeps files and finds them again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, upload: Upload) -> StoredFile:
        """Store a file that came with a call.

        Raises:
            ApiError: 400 when it is empty.
        """
        if not upload.content:
            raise bad_request("file must be non-empty")
        file = StoredFile(secrets.token_urlsafe(32), upload.name, upload.mime_type, upload.content)
        self._database.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?)", file.file_id, file.name, file.mime_type, file.content
        )
        return file

    def find(self, file_id: str) -> StoredFile | None:
        """A file by the id it was given when it was first sent."""
        row = self._database.row("SELECT * FROM files WHERE file_id = ?", file_id)
        return StoredFile(file_id, row["name"], row["mime_type"], row["content"]) if row else None


def image_size(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG or JPEG image, in pixels.

    Raises:
        ApiError: 400 when it is none, or too long and narrow for a photo.
    """
    try:
        width, height = _png_size(content) if content.startswith(_PNG) else _jpeg_size(content)
    except (struct.error, StopIteration) as error:
        raise bad_request("IMAGE_PROCESS_FAILED") from error
    if not width or not height or max(width, height) > _MAX_RATIO * min(width, height):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    return width, height


def _png_size(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _jpeg_size(content: bytes) -> tuple[int, int]:
    if not content.startswith(_JPEG):
        raise bad_request("IMAGE_PROCESS_FAILED")
    place = next(place for marker, place in _jpeg_segments(content) if marker in _JPEG_SIZE_MARKERS)
    height, width = struct.unpack_from(">HH", content, place + 5)
    return width, height


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    # Each segment says how long it is, so the size is found without decoding any image data.
    place = len(_JPEG)
    while place + 4 <= len(content):
        _, marker, length = struct.unpack_from(">BBH", content, place)
        yield marker, place
        place += 2 + length
