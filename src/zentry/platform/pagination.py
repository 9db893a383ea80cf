"""Keyset cursors: opaque texts that name the last row seen, so that a page costs the same at any depth."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from zentry.platform.errors import InvalidInput
from zentry.platform.ids import parse_id

_MAX_CURSOR: Final = 200


def encode_cursor(rank: int, at: datetime, id_: UUID) -> str:
    """Return the cursor after a row of this rank, time and id."""
    return base64.urlsafe_b64encode(f"{rank}|{at.isoformat()}|{id_}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[int, datetime, UUID]:
    """Return the rank, time and id that a cursor names, or raise `InvalidInput`."""
    bad = InvalidInput.at("cursor", "This is not a cursor that an earlier page returned.")
    if len(cursor) > _MAX_CURSOR:
        raise bad
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        rank, at, id_text = text.split("|")
        instant = datetime.fromisoformat(at)
        id_ = parse_id(id_text)
        if id_ is None or instant.tzinfo is None or not rank.isascii() or not rank.isdigit() or len(rank) > 1:
            raise bad
        return int(rank), instant.astimezone(UTC), id_
    except (ValueError, OverflowError, binascii.Error) as error:
        raise bad from error
