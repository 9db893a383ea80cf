"""Which coding of an answer a client accepts."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_MAX_ACCEPT_BYTES: Final = 256


@lru_cache(maxsize=256)
def accepted_coding(accept_encoding: bytes) -> str | None:
    """Return the best coding that an Accept-Encoding header allows, or None."""
    if len(accept_encoding) > _MAX_ACCEPT_BYTES:
        return None
    allowed = set()
    for part in accept_encoding.decode("latin-1").lower().split(","):
        name, _, parameters = part.partition(";")
        quality = parameters.strip().removeprefix("q=").strip()
        if not quality.strip("0.") and quality:
            continue
        allowed.add(name.strip())
    return next((coding for coding in ("zstd", "gzip") if coding in allowed), None)
