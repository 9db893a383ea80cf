"""Row ids: UUIDv7 (RFC 9562), so that new rows land at the right edge of every index.

Made from the injected clock and random source, because a simulation must produce the same
ids from the same seed; the standard library's generator reads the system's clock.
"""

from __future__ import annotations

import re
from datetime import datetime
from random import Random
from typing import Final
from uuid import UUID

_VERSION_7: Final = 0x7 << 76
_VARIANT_RFC: Final = 0b10 << 62
_LOW_62_BITS: Final = (1 << 62) - 1
_NOBODYS: Final = UUID(int=0)
_CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def new_id(now: datetime, random: Random) -> UUID:
    """Return a UUIDv7 for the given instant."""
    milliseconds = int(now.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    drawn = random.getrandbits(74)  # In one go: the system's source is asked through a call of the kernel.
    return UUID(int=milliseconds << 80 | _VERSION_7 | drawn >> 62 << 64 | _VARIANT_RFC | drawn & _LOW_62_BITS)


def parse_id(text: str) -> UUID | None:
    """Return the id that `text` spells in canonical form, or None: other forms name nothing."""
    return UUID(text) if _CANONICAL.fullmatch(text) else None


def wanted_id(text: str | None) -> UUID | None:
    """Return the id that a list is filtered by, None for no filter; what is no id is that of nothing."""
    return None if text is None else parse_id(text) or _NOBODYS
