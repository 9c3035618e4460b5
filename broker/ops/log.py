"""One JSON line an event on standard error; tokens, codes and keys never get into one."""

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

from broker.core.errors import BrokerError
from broker.core.secret import Secret
from broker.ops.plain import without

with without("rich"):
    # It would be imported for a console that is not used here: 4 MB, and a tenth of the time a worker takes to start.
    import structlog

_SECRET = re.compile(
    r"""eyJ[\w-]{8,}\.[\w-]+\.[\w-]*        # a signed token
      | \b(?:sk|pk|rk|gsk|xai|key)-[\w-]{8,} # a provider's key
      | \bAIza[\w-]{20,}
      | \b[a-z]{1,8}_[A-Za-z0-9_-]{43,}     # a handle of our own: 256 bits; an identifier is shorter
      | (?i:\b(?:bearer|basic|dpop)\s+)[^\s"',]+
      | [A-Za-z0-9+/_-]{64,}={0,2}           # anything long and without structure
    """,
    re.VERBOSE,
)
_SECRET_NAME = re.compile(
    r"pass(word)?|secret|token|authorization|cookie|api_?key|verifier|code_challenge", re.IGNORECASE
)
MASK = "<redacted>"
_FRAMES = "raised_at"
"""Places in the code, which may look like anything and are never secret."""

Event = MutableMapping[str, Any]


def configure(stream: TextIO | None = None) -> None:
    """Sends our events, and the warnings of every library, to one stream."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _explain,
            redact_event,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Lines(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Forwarding()]
    root.setLevel(logging.WARNING)


class _Lines:
    """Writes a line an event; a log that nobody reads any more must not break what it tells of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(message + "\n")
            self._stream.flush()

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def logger(part: str) -> structlog.typing.FilteringBoundLogger:
    """The log of one part of the program; call it with an event and named values, never with headers or bodies."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(part=part))


def redact(text: str) -> str:
    """The text with everything masked that looks like a token, a code or a key."""
    return _SECRET.sub(MASK, text)


def redact_event(_logger: object, _method: str, event: Event) -> Event:
    return {name: _redacted_as(name, value) for name, value in event.items()}


def _redacted_as(name: str, value: object) -> object:
    if name == _FRAMES:
        return value
    return MASK if _SECRET_NAME.search(name) else _redacted(value)


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return redact_event(None, "", {str(name): inner for name, inner in value.items()})
    if isinstance(value, list | tuple):
        return [_redacted(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return repr(value) if isinstance(value, Secret) else redact(str(value))


def _explain(_logger: object, _method: str, event: Event) -> Event:
    """An exception becomes its type, its detail for the log and where it rose: a message may quote what it must not."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["error"] = type(error).__name__
        event[_FRAMES] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
        if isinstance(error, BrokerError) and error.detail:
            event["detail"] = error.detail
    return event


class _Forwarding(logging.Handler):
    """What libraries log, in the same shape."""

    def emit(self, record: logging.LogRecord) -> None:
        log = logger(record.name)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
