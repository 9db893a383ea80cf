"""What is refused to those who follow the log."""

from __future__ import annotations

from typing import Final

from zentry.platform.errors import Conflict, TooManyRequests

_RETRY_AFTER_SECONDS: Final = 10


class TooManyStreams(TooManyRequests):
    """The account follows the log as often as it may, or this process has no room for more."""

    code = "TOO_MANY_STREAMS"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"An account may have {most} streams of events at a time. Close one, or try again later.",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )


class PositionUnknown(Conflict):
    """The log has not come to this position."""

    code = "POSITION_UNKNOWN"

    def __init__(self, position: int) -> None:
        super().__init__(
            f"The log has no position {position} yet. Send an id that a stream gave you, or 0 for all that is kept."
        )
