"""Traces of what a request sets off, as far as the rest of the code knows of them.

Off by default: then a span is one shared object that does nothing. Where the settings name a collector,
`tracing_export` makes real spans of them, and needs the extra `tracing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Final, Literal, Protocol

from zentry.platform.settings import TracingSettings
from zentry.platform.starting import CannotStart

Role = Literal["server", "consumer", "client", "internal"]
Fact = str | int | float | bool
Facts = Mapping[str, Fact]

TRACEPARENT: Final[ContextVar[str | None]] = ContextVar("zentry_traceparent", default=None)
"""The span that is open, as the header of W3C Trace Context writes it; whoever opens one sets it."""


def current_traceparent() -> str | None:
    """Return what a job has to carry so that its spans follow those that are open now; None without tracing."""
    return TRACEPARENT.get()


class Span(Protocol):
    """One stretch of work."""

    def rename(self, name: str) -> None:
        """Name it anew, once it is known what it is."""
        ...

    def note(self, name: str, value: Fact) -> None:
        """Add a fact; never a secret, nothing personal."""
        ...

    def fail(self, reason: str) -> None:
        """Say that it went wrong."""
        ...


class Tracing(Protocol):
    """Opens spans. A span that is open in this task is the parent of the next, unless another is named."""

    is_on: bool

    def span(
        self, name: str, *, role: Role = "internal", parent: str | None = None, facts: Facts | None = None
    ) -> AbstractContextManager[Span]:
        """Open a span until the block ends; `parent` is a `traceparent` from elsewhere."""
        ...

    def close(self) -> None:
        """Hand over what waits."""
        ...


class _Nothing(AbstractContextManager["_Nothing"]):
    def __exit__(self, *_: object) -> None:
        return None

    def rename(self, name: str) -> None:
        """Do nothing."""

    def note(self, name: str, value: Fact) -> None:
        """Do nothing."""

    def fail(self, reason: str) -> None:
        """Do nothing."""


_NOTHING: Final = _Nothing()


class NoTracing:
    """Opens nothing."""

    is_on = False

    def span(
        self,
        name: str,  # noqa: ARG002 - the protocol's
        *,
        role: Role = "internal",  # noqa: ARG002 - the protocol's
        parent: str | None = None,  # noqa: ARG002 - the protocol's
        facts: Facts | None = None,  # noqa: ARG002 - the protocol's
    ) -> AbstractContextManager[Span]:
        """Return what does nothing."""
        return _NOTHING

    def close(self) -> None:
        """Do nothing."""


NO_TRACING: Final = NoTracing()


def build_tracing(settings: TracingSettings) -> Tracing:
    """Return what the settings ask for, or raise `CannotStart`."""
    if not settings.endpoint:
        return NO_TRACING
    try:
        from zentry.platform.tracing_export import export_to  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise CannotStart(
            "ZENTRY_TRACING__ENDPOINT is set, and the extra `tracing` is not installed: pip install 'zentry[tracing]'."
        ) from error
    return export_to(settings)
