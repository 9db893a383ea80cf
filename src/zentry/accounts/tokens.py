"""Access tokens (signed, short-lived) and refresh tokens (opaque, kept as a hash).

A token of ours has exactly one spelling. Whatever else a library would tolerate (another order of
trust in the header, an extra claim, a claim twice, base64 with loose bits) is refused before or after
it looks, so there is nothing to find between what was signed and what is read.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import jwt
from jwt.utils import base64url_encode

from zentry.accounts.errors import InvalidAccessToken, InvalidRefreshToken
from zentry.platform.clock import Clock
from zentry.platform.ids import parse_id

ALGORITHM: Final = "HS256"
ISSUER: Final = "zentry"
AUDIENCE: Final = "zentry-api"
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - the media type of RFC 9068, no secret
MAX_TOKEN_LENGTH: Final = 1024
MIN_KEY_LENGTH: Final = 32

_CLAIMS: Final = ("sub", "sid", "iat", "exp", "iss", "aud")
# A signature of 32 bytes is 43 characters, and the last of them has two bits to spare: they are zero.
_SPELLING: Final = re.compile(r"[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]{1,700}\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_REFRESH_SPELLING: Final = re.compile(r"zr_[A-Za-z0-9_-]{43}")
# Hosts disagree a little about the time. A token of "the future" gains nothing by it: its end has no leeway.
_HOSTS_DISAGREE: Final = timedelta(seconds=60)
_LONGEST_LIFE: Final = timedelta(days=1)  # Of any setting, so that a shorter one does not end what was handed out.
_OPTIONS: Final[Any] = {
    "require": list(_CLAIMS),
    "strict_aud": True,
    # The library would ask the operating system for the time; the injected clock is asked below.
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class SecretSource(Protocol):
    """Where unguessable texts come from."""

    def token(self) -> str:
        """Return 32 random bytes in URL-safe base64."""
        ...


class SystemSecrets:
    """The operating system's random source."""

    def token(self) -> str:
        """Return 32 random bytes in URL-safe base64."""
        return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid access token says."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


class AccessTokens:
    """Signs and checks access tokens with one key and one algorithm."""

    def __init__(self, signing_key: str, *, clock: Clock, life_seconds: int) -> None:
        if len(signing_key) < MIN_KEY_LENGTH:
            raise ValueError(f"a signing key has at least {MIN_KEY_LENGTH} characters")
        self._clock = clock
        self._life = timedelta(seconds=life_seconds)
        self._current = hashlib.sha256(b"kid:" + signing_key.encode()).hexdigest()[:16]
        # `kid` is an index into this and nothing else; a rotated key joins it here.
        self._keys = {self._current: signing_key}

    def issue(self, *, user_id: UUID, session_id: UUID, now: datetime, not_after: datetime) -> tuple[str, int]:
        """Return a token and the seconds that it lives, which is never beyond its session."""
        issued_at = int(now.timestamp())
        expires_at = int(min(now + self._life, not_after).timestamp())
        claims = {
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": issued_at,
            "exp": expires_at,
            "iss": ISSUER,
            "aud": AUDIENCE,
        }
        headers = {"kid": self._current, "typ": TOKEN_TYPE}
        text = jwt.encode(claims, self._keys[self._current], algorithm=ALGORITHM, headers=headers)
        return text, expires_at - issued_at

    def verify(self, text: str) -> AccessClaims:
        """Return what the token says, or raise `InvalidAccessToken`; nothing is looked up."""
        if len(text) > MAX_TOKEN_LENGTH or not _SPELLING.fullmatch(text):
            raise InvalidAccessToken
        return self._checked(self._decode(text))

    def _decode(self, text: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(text)
            if header != {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": header.get("kid")}:
                raise InvalidAccessToken
            key = self._keys.get(header["kid"])
            if key is None:
                raise InvalidAccessToken
            claims: dict[str, Any] = jwt.decode(
                text, key, algorithms=[ALGORITHM], options=_OPTIONS, audience=AUDIENCE, issuer=ISSUER
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
            raise InvalidAccessToken from error
        if set(claims) != set(_CLAIMS) or not _is_plain(claims, text.split(".")[1]):
            raise InvalidAccessToken
        return claims

    def _checked(self, claims: dict[str, Any]) -> AccessClaims:
        issued, expires = claims["iat"], claims["exp"]
        if type(issued) is not int or type(expires) is not int:
            raise InvalidAccessToken
        user_id, session_id = parse_id(claims["sub"]), parse_id(str(claims["sid"]))
        now = self._clock.now()
        lasts = expires - issued
        if (
            user_id is None
            or session_id is None
            or not 0 <= lasts <= _LONGEST_LIFE.total_seconds()
            or issued > (now + _HOSTS_DISAGREE).timestamp()
            or expires <= now.timestamp()
        ):
            raise InvalidAccessToken
        return AccessClaims(user_id=user_id, session_id=session_id, expires_at=datetime.fromtimestamp(expires, UTC))


def new_refresh_token(source: SecretSource) -> str:
    """Return a fresh refresh token."""
    return f"zr_{source.token()}"


def hash_refresh_token(text: str) -> str:
    """Return what is kept of a refresh token, or raise `InvalidRefreshToken` when it cannot be one."""
    if not _REFRESH_SPELLING.fullmatch(text):
        raise InvalidRefreshToken
    return hashlib.sha256(text.encode()).hexdigest()


def _is_plain(claims: dict[str, Any], segment: str) -> bool:
    """Tell whether the segment is the one spelling of these claims: a claim twice or a space gives it away."""
    return base64url_encode(json.dumps(claims, separators=(",", ":")).encode()).decode() == segment
