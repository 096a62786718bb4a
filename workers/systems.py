"""Reads the secrets of the systems, and lets nothing of them out again."""

import os
import stat
from pathlib import Path
from typing import Final

import structlog

from holdfast.adapters.masking import Mask
from holdfast.adapters.masking.mask import SHORTEST
from holdfast.domain.errors import InvalidInput
from holdfast.runbook.systems import Secret

# One for the process: what is revealed to one provider must not be logged by another part.
MASK: Final = Mask()
_LARGEST_BYTES: Final = 64 * 1024
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_warned: Final[set[Path]] = set()


def reveal(secret: Secret, *, mask: Mask = MASK) -> str:
    """Return a secret as it is at this moment, without blanks around it; the mask knows it from here on.

    Raises:
        InvalidInput: it cannot be read, is empty, or is so short that it could not be kept out of texts.
    """
    if secret.file is not None:
        where, found = f"file {secret.file}", _read(secret.file)
    else:
        where, found = f"variable {secret.env}", os.environ.get(secret.env or "", "")
    found = found.strip()
    if not found:
        raise InvalidInput(f"the secret in {where} is empty or not set: systems.yaml asks this worker for it")
    if len(found) < SHORTEST:
        raise InvalidInput(
            f"the secret in {where} has fewer than {SHORTEST} characters, which cannot be kept out of texts: "
            "let its system make a longer one"
        )
    mask.add(found)
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_BYTES)
            _warn_if_open_to_all(path, os.fstat(file.fileno()).st_mode)
        return raw.decode()
    except OSError as error:
        raise InvalidInput(
            f"the secret file {path} cannot be read ({error.strerror}): put it there for the worker, or name "
            "another one in systems.yaml"
        ) from None
    except UnicodeDecodeError:
        raise InvalidInput(f"the secret file {path} is not UTF-8 text: put only the secret into it") from None


def _warn_if_open_to_all(path: Path, mode: int) -> None:
    if mode & stat.S_IROTH and path not in _warned:
        _warned.add(path)
        _log.warning("secret file may be read by everybody on this machine", path=str(path))
