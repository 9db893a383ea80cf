"""Access tokens (signed, short-lived) and refresh tokens (opaque, kept as a hash).

A token of ours has exactly one spelling. Whatever else a library would tolerate (another order of
trust in the header, an extra claim, a claim twice, base64 with loose bits) is refused before or after
it looks, so there is nothing to find between what was signed and what is read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import jwt
from jwt.utils import base64url_decode, base64url_encode

from zentry.accounts.errors import InvalidAccessToken, InvalidRefreshToken
from zentry.accounts.signing import parse_signing_key
from zentry.platform.clock import Clock
from zentry.platform.ids import parse_id

ISSUER: Final = "zentry"
AUDIENCE: Final = "zentry-api"
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - the media type of RFC 9068, no secret
MAX_TOKEN_LENGTH: Final = 1024

_CLAIMS: Final = ("sub", "sid", "iat", "exp", "iss", "aud")
_SIGNED: Final = r"[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]{1,700}\."
# A signature of 32 bytes is 43 characters, and the last of them has two bits to spare: they are zero. One of 64 bytes
# is 86 characters with four bits to spare.
_SPELLINGS: Final = {
    "HS256": re.compile(_SIGNED + r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"),
    "EdDSA": re.compile(_SIGNED + r"[A-Za-z0-9_-]{85}[AQgw]"),
}
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
    """Signs access tokens with one key, and checks them with that one and those that it follows."""

    def __init__(self, signing_key: str, *, clock: Clock, life_seconds: int, previous_keys: Sequence[str] = ()) -> None:
        self._clock = clock
        self._life = timedelta(seconds=life_seconds)
        self._current = parse_signing_key(signing_key)
        # `kid` is an index into this and nothing else.
        self._keys = {key.kid: key for key in (*map(parse_signing_key, previous_keys), self._current)}

    @property
    def public_keys(self) -> list[dict[str, str]]:
        """The public halves of the keys, as JWKs; shared secrets have none."""
        return [key.public for key in self._keys.values() if key.public is not None]

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
        key = self._current
        headers = {"kid": key.kid, "typ": TOKEN_TYPE}
        text = jwt.encode(claims, key.signs_with, algorithm=key.algorithm, headers=headers)
        return text, expires_at - issued_at

    def verify(self, text: str) -> AccessClaims:
        """Return what the token says, or raise `InvalidAccessToken`; nothing is looked up."""
        if len(text) > MAX_TOKEN_LENGTH or not any(spelling.fullmatch(text) for spelling in _SPELLINGS.values()):
            raise InvalidAccessToken
        claims = self._decode(text)
        if tuple(claims) != _CLAIMS or not _has_plain_header(text.partition(".")[0]):
            raise InvalidAccessToken
        return self._checked(claims)

    def was_issued_to(self, text: str, user_id: UUID, *, since: datetime) -> bool:
        """Tell whether this is a token of the account that is not too old, whether it has expired or not."""
        if len(text) > MAX_TOKEN_LENGTH or not any(spelling.fullmatch(text) for spelling in _SPELLINGS.values()):
            return False
        try:
            claims = self._decode(text)
        except InvalidAccessToken:
            return False
        issued = claims["iat"]
        return claims["sub"] == str(user_id) and type(issued) is int and issued > since.timestamp()

    def _decode(self, text: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(text)
            key = self._keys.get(header.get("kid", ""))
            if key is None or header != {"alg": key.algorithm, "typ": TOKEN_TYPE, "kid": key.kid}:
                raise InvalidAccessToken
            if not _SPELLINGS[key.algorithm].fullmatch(text):
                raise InvalidAccessToken
            claims: dict[str, Any] = jwt.decode(
                text,
                key.verifies_with,
                algorithms=[key.algorithm],
                options=_OPTIONS,
                audience=AUDIENCE,
                issuer=ISSUER,
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


def successor_of(refresh_token: str, *, salt: str) -> str:
    """Return the token that follows another one.

    The salt is secret and random, so nobody can tell it from the old token alone; with the salt in
    the row and the old token in hand it is found again, so that a client that asks twice gets it twice.
    """
    made = hmac.digest(salt.encode(), refresh_token.encode(), "sha256")
    return f"zr_{base64url_encode(made).decode()}"


def hash_refresh_token(text: str) -> str:
    """Return what is kept of a refresh token, or raise `InvalidRefreshToken` when it cannot be one."""
    if not _REFRESH_SPELLING.fullmatch(text):
        raise InvalidRefreshToken
    return hashlib.sha256(text.encode()).hexdigest()


def _is_plain(claims: dict[str, Any], segment: str) -> bool:
    """Tell whether the segment is the one spelling of these claims: a claim twice or a space gives it away."""
    return base64url_encode(json.dumps(claims, separators=(",", ":")).encode()).decode() == segment


def _has_plain_header(segment: str) -> bool:
    """Tell whether the segment is the one spelling of its header, which has been read already."""
    header = json.loads(base64url_decode(segment))
    return _is_plain(dict(sorted(header.items())), segment)
