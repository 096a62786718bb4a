"""The configuration with its version and its audit trail, kept in a file over a crash."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from holdfast.sim.shop.settings import DEFAULTS, Side, SideSettings


class ConfigState(BaseModel):
    """The whole configuration; `version` counts every change of any part."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    stable: SideSettings = DEFAULTS
    canary: SideSettings = DEFAULTS
    canary_share_percent: int = 0

    @field_validator("stable", "canary", mode="before")
    @classmethod
    def _older_files_lack_younger_settings(cls, side: object) -> object:
        """Begin with the defaults for settings that the file's writer did not know."""
        if not isinstance(side, dict):
            return side
        return DEFAULTS.model_dump() | cast("dict[str, object]", side)


class LogEntry(BaseModel):
    """One change: what it replaced, what it put there, and the key its author gave."""

    at: datetime
    version: int
    what: Literal["stable", "canary", "share"]
    key: str
    before: dict[str, Any] | int
    after: dict[str, Any] | int


class VersionConflict(Exception):
    """The configuration is at another version than the writer expected."""


class _Saved(BaseModel):
    state: ConfigState = ConfigState()
    log: list[LogEntry] = []


class Configuration:
    """Holds the state, lets it be replaced only by who knows the current version, and remembers who did.

    Args:
        path: where to keep it; None keeps it in memory only.

    Raises:
        ValueError: the file is there but cannot be read as a configuration.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._saved = _load(path)
        self._listeners: list[Callable[[ConfigState], None]] = []

    @property
    def state(self) -> ConfigState:
        """The configuration as it is now."""
        return self._saved.state

    @property
    def log(self) -> list[LogEntry]:
        """All changes, oldest first."""
        return self._saved.log

    def listen(self, listener: Callable[[ConfigState], None]) -> None:
        """Tell the listener the state now and after each change."""
        self._listeners.append(listener)
        listener(self.state)

    def put_side(self, side: Side, settings: SideSettings, *, expected_version: int, key: str) -> ConfigState:
        """Replace all settings of a side.

        Raises:
            VersionConflict: the state is at another version; nothing was changed.
        """
        before: SideSettings = getattr(self.state, side)
        entry = self._entry(side, expected_version, key, before.model_dump(), settings.model_dump())
        return self._commit({side: settings}, entry)

    def put_share(self, percent: int, *, expected_version: int, key: str) -> ConfigState:
        """Give the canary this share of the pods; errors as for `put_side`."""
        entry = self._entry("share", expected_version, key, self.state.canary_share_percent, percent)
        return self._commit({"canary_share_percent": percent}, entry)

    def _entry(
        self,
        what: Literal["stable", "canary", "share"],
        expected_version: int,
        key: str,
        before: dict[str, Any] | int,
        after: dict[str, Any] | int,
    ) -> LogEntry:
        if expected_version != self.state.version:
            raise VersionConflict
        version = self.state.version + 1
        return LogEntry(at=datetime.now(UTC), version=version, what=what, key=key, before=before, after=after)

    def _commit(self, change: dict[str, Any], entry: LogEntry) -> ConfigState:
        state = self.state.model_copy(update={**change, "version": entry.version})
        saved = _Saved(state=state, log=[*self.log, entry])
        if self._path is not None:
            _write(self._path, saved.model_dump_json(indent=1))
        self._saved = saved
        for listener in self._listeners:
            listener(state)
        return state


def _load(path: Path | None) -> _Saved:
    if path is None or not path.exists():
        return _Saved()
    try:
        return _Saved.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(
            f"{path} is not a saved configuration ({error.error_count()} errors). "
            "Give another --state, or remove the file to begin with the defaults."
        ) from error


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, so that a crash leaves the old or the new one."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
