"""Keyset cursors: opaque texts that name the last row seen, so that a page costs the same at any depth.

A cursor is a rank, the microseconds since 1970 and an id, in digits of fixed width. So every text of the
form is a cursor, and the form in the OpenAPI document says all there is to say.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from zentry.platform.errors import InvalidInput
from zentry.platform.wire import pattern_in_words

CURSOR_PATTERN: Final = pattern_in_words(
    "^[0-9][0-9a-f]{46}$",
    "This is no cursor: send `next_cursor` of the page before as it is, or none for the first page.",
)

_FORM: Final = re.compile(r"([0-9])([0-9a-f]{14})([0-9a-f]{32})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def encode_cursor(rank: int, at: datetime, id_: UUID) -> str:
    """Return the cursor after a row of this rank, time and id."""
    return f"{rank:d}{(at - _EPOCH) // _MICROSECOND:014x}{id_.hex}"


def decode_cursor(cursor: str) -> tuple[int, datetime, UUID]:
    """Return the rank, time and id that a cursor names, or raise `InvalidInput`."""
    parts = _FORM.fullmatch(cursor)
    if parts is None:
        raise InvalidInput.at("cursor", "This is not a cursor that an earlier page returned.")
    rank, microseconds, id_ = parts.groups()
    return int(rank), _EPOCH + int(microseconds, 16) * _MICROSECOND, UUID(hex=id_)
