"""Logging of the whole process: one line an entry, JSON for machines and readable on a terminal, UTC, without secrets.

A message is constant and facts are key/values, so that entries can be counted and searched. kopf, aiohttp and httpx
write through the standard library and end in the same lines. Neighbours: `redact`. Not here: what is worth a line.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from pawl.controllers.lean import without
from pawl.controllers.redact import redact, redact_field

with without("rich", "better_exceptions"):
    import structlog
    from structlog.typing import EventDict, Processor

LEVELS: Final = ("debug", "info", "warning", "error")
CHATTY: Final = ("kopf", "aiohttp", "httpx", "httpcore", "kubernetes", "asyncio", "client")
"""Libraries whose INFO is our DEBUG."""

_TOP: Final = ("timestamp", "level", "logger", "event")
"""What stands first in a line, in this order."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How to log. `json` None decides by the stream: JSON unless it is a terminal."""

    level: str = "info"
    json: bool | None = None
    stream: TextIO | None = None
    """Standard error if None."""
    colors: bool | None = None
    """None: on a terminal, unless NO_COLOR is set."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


def configure(settings: LogSettings | None = None) -> None:
    """Set logging up for the process; a second call replaces the first. Raises ValueError for an unknown level."""
    chosen = settings or LogSettings()
    if chosen.level not in LEVELS:
        raise ValueError(f"log level {chosen.level!r} is none of {', '.join(LEVELS)}")
    level = getattr(logging, chosen.level.upper())
    stream = sys.stderr if chosen.stream is None else chosen.stream
    shared = _shared()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,  # module loggers exist before this call and must follow it
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_ending(chosen, stream))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.INFO if level <= logging.DEBUG else logging.WARNING)


def redacting(_logger: Any, _method: str, event: EventDict) -> EventDict:  # noqa: ANN401 - structlog's own signature
    """Hide secrets in every field of an entry, and put the fields in order; a processor of structlog."""
    first = {key: redact(event.pop(key)) for key in _TOP if key in event}
    return first | {key: redact_field(key, value) for key, value in event.items()}


def _shared() -> list[Processor]:
    """What every entry gets, of ours and of libraries."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _ending(settings: LogSettings, stream: TextIO) -> list[Processor]:
    """From the entry to its line. Tracebacks become text first, without local variables, and are redacted too."""
    terminal = stream.isatty()
    as_json = not terminal if settings.json is None else settings.json
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        redacting,
        structlog.processors.JSONRenderer() if as_json else _console(settings, terminal=terminal),
    ]


def _console(settings: LogSettings, *, terminal: bool) -> Processor:
    colors = terminal and not settings.environ.get("NO_COLOR") if settings.colors is None else settings.colors
    return structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )
