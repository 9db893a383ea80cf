"""OpenSSH public keys: what one is, and its fingerprint. Read by their form, without cryptography."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from zentry.platform.errors import InvalidInput

MAX_LENGTH: Final = 8192
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16_384

_ED25519_BYTES: Final = 32
_LENGTH_BYTES: Final = 4
_CURVES: Final = {
    # type, name of the curve, bytes of a point
    "ecdsa-sha2-nistp256": (b"nistp256", 65),
    "ecdsa-sha2-nistp384": (b"nistp384", 97),
    "ecdsa-sha2-nistp521": (b"nistp521", 133),
    "sk-ecdsa-sha2-nistp256@openssh.com": (b"nistp256", 65),
}
_SECURITY_KEYS: Final = frozenset({"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"})
TYPES: Final = ("ssh-ed25519", "ssh-rsa", "sk-ssh-ed25519@openssh.com", *_CURVES)
_COMMENT: Final = re.compile(r"[^\x00-\x1f\x7f]*")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key in its one spelling, and its SHA-256 fingerprint as `ssh-keygen -l` shows it."""

    text: str
    fingerprint: str


def parse_public_key(text: str) -> PublicKey:
    """Return the key that a line of `authorized_keys` without options names, or raise `InvalidInput`."""
    if len(text) > MAX_LENGTH:
        raise _refused(f"A public key has at most {MAX_LENGTH} characters.")
    if "PRIVATE KEY" in text:
        raise _refused("This is a private key, which must never leave your machine; send the file that ends in .pub.")
    parts = text.strip().split(" ", 2)
    if len(parts) == 1 or parts[0] not in TYPES:
        raise _refused(f"An OpenSSH public key begins with its type: one of {', '.join(TYPES)}.")
    comment = parts[2].strip() if len(parts) > 2 else ""  # noqa: PLR2004 - type, key and comment
    if not _COMMENT.fullmatch(comment):
        raise _refused("A public key is one line.")
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("What follows the type is not the base64 of a key.") from error
    fields = _fields(blob)
    if not fields or fields[0] != parts[0].encode():
        raise _refused(f"What follows {parts[0]!r} is not a key of this type.")
    _check(parts[0], fields[1:])
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return PublicKey(" ".join(part for part in (parts[0], parts[1], comment) if part), f"SHA256:{digest}")


def _fields(blob: bytes) -> list[bytes]:
    """Return the length-prefixed fields of a key; an empty list when they do not fill it exactly."""
    fields = []
    position = 0
    while position < len(blob):
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(blob[position:start], "big")
        if position > len(blob):
            return []
        fields.append(blob[start:position])
    return fields


def _check(kind: str, fields: list[bytes]) -> None:
    if kind in _SECURITY_KEYS:
        if not fields or not fields[-1]:
            raise _refused("The key names no application.")
        fields = fields[:-1]
    if kind == "ssh-rsa":
        if len(fields) != 2:  # noqa: PLR2004 - exponent and modulus
            raise _refused("An RSA key has an exponent and a modulus.")
        bits = int.from_bytes(fields[1], "big").bit_length()
        if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            raise _refused(f"An RSA key of {bits} bits is not accepted; it has {MIN_RSA_BITS} to {MAX_RSA_BITS}.")
    elif kind in _CURVES:
        curve, point_bytes = _CURVES[kind]
        if len(fields) != 2 or fields[0] != curve or len(fields[1]) != point_bytes:  # noqa: PLR2004 - curve and point
            raise _refused("This is not a point of the curve that the type names.")
    elif len(fields) != 1 or len(fields[0]) != _ED25519_BYTES:
        raise _refused(f"An Ed25519 key has {_ED25519_BYTES} bytes.")


def _refused(reason: str) -> InvalidInput:
    return InvalidInput.at("public_key", reason)
