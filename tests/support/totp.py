"""What an authenticator shows."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tests.support.platform import PlatformUnderTest


def code_at(platform: PlatformUnderTest, secret: str, *, after_seconds: int = 0) -> str:
    """Return the code of a secret, now or in a while."""
    at = int(platform.clock.now().timestamp()) + after_seconds
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(at).decode()
