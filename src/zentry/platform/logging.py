"""The log: one line per event, as JSON or for a terminal, and never a secret.

Our own events go straight from structlog to the stream, since the access log is on the path of every
request; what libraries log through the standard library takes the same processors to the same stream.
Whatever a value holds, it cannot start a second line or steer a terminal: JSON escapes it, and the
console form replaces control characters.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from zentry.platform.settings import LogSettings

REDACTED: Final = "[redacted]"
MAX_FIELD: Final = 2_000
MAX_TRACEBACK: Final = 20_000
_MAX_ITEMS: Final = 50
_MAX_DEPTH: Final = 4
_MAX_KEY: Final = 200

_SECRET_KEY: Final = re.compile(
    r"(^|[_-])(password|passwd|token|authorization|secret|cookie|api[_-]?key|signing[_-]?key)$", re.IGNORECASE
)
_SECRET_TEXT: Final = re.compile(
    r"(?P<bearer>\bbearer\s+)[^\s\"',]+"
    r"|(?P<pair>\b(?:[a-z]+[_-])?(?:token|password|secret)=)[^&\s\"']+"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOISY: Final = ("aiosqlite", "asyncio", "sqlalchemy", "alembic")


def configure_logging(settings: LogSettings, *, stream: TextIO | None = None) -> None:
    """Set up the log of this process: structlog's and, through it, the standard library's."""
    out = stream if stream is not None else sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    enrich: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    finish: list[Processor] = [protect, to_json]
    if settings.format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
        finish = [protect, one_line, renderer]
    structlog.configure(
        processors=[*enrich, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    _take_over_standard_logging(level, out, enrich=enrich, finish=finish)


def _take_over_standard_logging(
    level: int, out: TextIO, *, enrich: Sequence[Processor], finish: Sequence[Processor]
) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *enrich],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()  # noqa: TID251  # the standard library's own log is set up here
    for former in root.handlers[:]:
        if isinstance(former.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))  # noqa: TID251  # as above
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        server = logging.getLogger(name)  # noqa: TID251  # as above
        server.handlers.clear()
        server.propagate = True
    # The access log is ours: the server's would repeat it, with query strings.
    logging.getLogger("uvicorn.access").setLevel(logging.CRITICAL)  # noqa: TID251  # as above


def protect(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redact secrets and cap what is long."""
    for key, value in event.items():
        kind = type(value)
        if kind is int or kind is float or kind is bool or value is None:
            continue
        if _is_secret(key):
            event[key] = REDACTED
        elif key in {"exception", "stack"} and isinstance(value, str):
            event[key] = _clean_text(value, MAX_TRACEBACK)
        else:
            event[key] = _clean(value, _MAX_DEPTH)
    return event


def to_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Render one line of JSON; anything can be rendered."""
    try:
        line = msgspec.json.encode(event, enc_hook=str).decode()
    except (TypeError, ValueError, UnicodeError):  # Lone surrogates, integers beyond 64 bits, odd keys.
        return json.dumps({str(key): value for key, value in event.items()}, default=str)
    # JSON leaves the line breaks of Unicode as they are, and readers of lines may not.
    return line if line.isascii() else _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace control characters, for a terminal; a traceback keeps its line breaks."""
    for key, value in event.items():
        if key not in {"exception", "stack"} and isinstance(value, str) and _CONTROL.search(value):
            event[key] = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", value)
    return event


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _clean(value: object, depth: int) -> Any:
    if isinstance(value, str):
        return _clean_text(value, MAX_FIELD)
    if isinstance(value, int | float) or value is None:
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _clean_container(value, depth) if depth else "…"
    return _clean_text(value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value), MAX_FIELD)


def _clean_container(value: Mapping[Any, object] | Iterable[object], depth: int) -> Any:
    if not isinstance(value, Mapping):
        return [_clean(item, depth - 1) for item in islice(value, _MAX_ITEMS)]
    clean: dict[str, Any] = {}
    for key, item in islice(value.items(), _MAX_ITEMS):
        name = _clean_text(str(key), _MAX_KEY)
        clean[name] = REDACTED if _is_secret(name) else _clean(item, depth - 1)
    return clean


def _clean_text(text: str, limit: int) -> str:
    if len(text) > limit:
        # A traceback says at its end what went wrong.
        text = f"{text[: limit // 4]}… {len(text) - limit} characters …{text[-(limit - limit // 4) :]}"
    if len(text) < len("token=x"):
        return text
    return _SECRET_TEXT.sub(_redact, text)


def _redact(found: re.Match[str]) -> str:
    return (found["bearer"] or found["pair"] or "") + REDACTED
