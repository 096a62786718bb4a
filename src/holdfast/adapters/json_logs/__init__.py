"""Structured logs of messages: JSON lines, also compressed."""

from holdfast.adapters.json_logs.reading import JsonLogs

__all__ = ["JsonLogs"]
