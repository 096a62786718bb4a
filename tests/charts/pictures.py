"""Looking at the pixels of a drawn picture."""

import struct
from io import BytesIO

import numpy as np
import numpy.typing as npt
from matplotlib.image import imread

Colour = tuple[int, int, int]


def pixels(picture: bytes | None) -> npt.NDArray[np.int_]:
    """Return red, green and blue, 0 to 255, of each row and column."""
    assert picture
    return np.round(imread(BytesIO(picture), format="png")[:, :, :3] * 255).astype(int)


def amount(picture: bytes | None, colour: Colour) -> int:
    """How many pixels have exactly this colour."""
    return int((pixels(picture) == colour).all(axis=2).sum())


def size(picture: bytes | None) -> tuple[int, int]:
    """Return width and height, as the file's header says."""
    assert picture
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height
