"""The keys that sign access tokens: a shared secret, or an Ed25519 pair whose public half anyone may have.

A key has one algorithm, and which one is read off the key, never off a token. Ed25519 is the one
asymmetric choice because, like HMAC, it has one valid signature for each text and key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jwt.utils import base64url_encode

from zentry.platform.keys import MIN_KEY_LENGTH, SigningKeyUnusable

_PEM: Final = "-----BEGIN "
_KID_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key, its algorithm, and the id by which tokens name it."""

    kid: str
    algorithm: str
    signs_with: Any
    verifies_with: Any

    @property
    def public(self) -> dict[str, str] | None:
        """The public half as a JWK (RFC 8037); None for a shared secret, which has none."""
        if not isinstance(self.verifies_with, Ed25519PublicKey):
            return None
        raw = self.verifies_with.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": self.algorithm,
            "kid": self.kid,
            "x": base64url_encode(raw).decode(),
        }


def parse_signing_key(text: str) -> SigningKey:
    """Return the key that a setting or the key file holds, or raise `SigningKeyUnusable`."""
    if text.lstrip().startswith(_PEM):
        return _pair(text)
    if len(text) < MIN_KEY_LENGTH:
        raise SigningKeyUnusable(f"A signing key has at least {MIN_KEY_LENGTH} characters.")
    kid = hashlib.sha256(b"kid:" + text.encode()).hexdigest()[:_KID_LENGTH]
    return SigningKey(kid, "HS256", signs_with=text, verifies_with=text)


def _pair(text: str) -> SigningKey:
    try:
        private = load_pem_private_key(text.strip().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_pair() from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _no_pair()
    public = private.public_key()
    kid = hashlib.sha256(b"kid:" + public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:_KID_LENGTH]
    return SigningKey(kid, "EdDSA", signs_with=private, verifies_with=public)


def _no_pair() -> SigningKeyUnusable:
    return SigningKeyUnusable(
        "A signing key in PEM is an unencrypted Ed25519 private key: openssl genpkey -algorithm ed25519"
    )
