"""Signatures as Standard Webhooks defines them: HMAC-SHA-256 over id, time and body, in version v1."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
KEY_BYTES: Final = 32


def secret_text(key: bytes) -> str:
    """Return a key as its owner keeps it."""
    return PREFIX + base64.b64encode(key).decode()


def sign(secrets: Sequence[str], *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message, signed with every secret that is valid, so that one can replace another."""
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    keys = [base64.b64decode(secret.removeprefix(PREFIX)) for secret in secrets]
    signatures = [hmac.digest(key, content, hashlib.sha256) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join("v1," + base64.b64encode(one).decode() for one in signatures),
    }
