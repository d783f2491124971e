"""What a training script is told, on standard error and through Python's logging."""

from __future__ import annotations

import logging
import sys

_logger = logging.getLogger("greenroom.tracking")


def tell(text: str) -> None:
    """Say something once to the person and to the log; never through `warnings`, which may be errors."""
    if _logger.hasHandlers():
        _logger.warning(text)
    if not _reaches_stderr():
        stream = sys.stderr
        # A script without a console (pythonw, some services) has no standard error.
        if stream is not None:
            stream.write(f"greenroom: {text}\n")
            stream.flush()


def _reaches_stderr() -> bool:
    logger: logging.Logger | None = _logger
    while logger is not None:
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
                return handler.level <= logging.WARNING and _logger.isEnabledFor(logging.WARNING)
        logger = logger.parent if logger.propagate else None
    return False
