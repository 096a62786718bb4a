"""Changes of kind `command`: a reviewed command of `systems.yaml` on the worker's machine."""

from holdfast.adapters.command.provider import CommandProvider

__all__ = ["CommandProvider"]
