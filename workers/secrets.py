"""The secret key of this installation: from the settings, or made once and kept beside the database."""

import os
import secrets
from pathlib import Path

import structlog

from holdfast.domain.errors import InvalidInput
from holdfast.domain.proofs import Keyring
from workers.settings import Settings

KEY_FILE = "secret.key"
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def keyring(settings: Settings) -> Keyring:
    """Return the keys that sign and check approval codes.

    Raises:
        InvalidInput: the key is too short, or its file cannot be read or written.
    """
    configured = settings.secret_key.get_secret_value() if settings.secret_key else ""
    keys = [key.strip() for key in configured.split(",") if key.strip()] or [_kept(settings.state_dir)]
    try:
        return Keyring(keys)
    except ValueError as error:
        raise InvalidInput(f"HOLDFAST_SECRET_KEY: {error}") from None


def _kept(directory: Path) -> str:
    """Return the key in this directory; all processes of a machine find the same one, whoever starts first."""
    path = directory / KEY_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        return path.read_text().strip()
    except OSError as error:
        raise InvalidInput(
            f"the secret key cannot be kept in {path} ({error.strerror}): set HOLDFAST_SECRET_KEY, the same "
            "for all processes, or let HOLDFAST_STATE_DIR be a directory that can be written"
        ) from None


def _make(path: Path) -> None:
    """Write a new key whole or not at all, and never over another process's."""
    draft = path.with_name(f"{KEY_FILE}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(f"{secrets.token_urlsafe(32)}\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    _log.info("secret key made", path=str(path))
