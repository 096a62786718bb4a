"""Lets every line of the logs pass through a mask."""

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

from holdfast.adapters.masking.mask import Mask


def install(mask: Mask) -> None:
    """Mask everything that is logged; call it once, after logging and structlog are configured."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(MaskFilter(mask))
    processors = structlog.get_config()["processors"]
    # The last one gets the finished line, so that nothing that a renderer writes out escapes it.
    structlog.configure(processors=[*processors, line_masker(mask)])


def line_masker(mask: Mask) -> structlog.types.Processor:
    """Return a structlog processor that comes last and masks what the renderer has made."""

    def masked(_logger: Any, _method: str, line: MutableMapping[str, Any] | str) -> Any:
        return mask.value(line)

    return masked


class MaskFilter(logging.Filter):
    """Masks a record's message and its traceback; drops nothing. Belongs on handlers, which see all records."""

    def __init__(self, mask: Mask) -> None:
        """Replace what this mask knows."""
        super().__init__()
        self._mask = mask

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record in place."""
        said = record.getMessage()
        if (masked := self._mask.text(said)) != said:
            record.msg, record.args = masked, ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._mask.text(record.exc_text)
        if record.stack_info:
            record.stack_info = self._mask.text(record.stack_info)
        return True
