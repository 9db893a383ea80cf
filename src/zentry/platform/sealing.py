"""Secrets at rest: text that only this installation can read, for columns that a stolen backup should not tell."""

from __future__ import annotations

import os
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT: Final = b"\x01"
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"zentry: text sealed at rest"


class Unreadable(Exception):
    """What was sealed cannot be opened: by another key, for another owner, or damaged."""


class Sealer:
    """Seals text with AES-256-GCM under a key that is derived from the installation's secret (HKDF, RFC 5869).

    A sealed text belongs to its owner: moved to another one's row, it cannot be opened. It carries the
    id of its key, so that a later key can be told from damage.
    """

    def __init__(self, secret: str) -> None:
        derived = HKDF(SHA256(), _KEY_BYTES + _KEY_ID_BYTES, salt=None, info=_PURPOSE).derive(secret.encode())
        self._cipher = AESGCM(derived[:_KEY_BYTES])
        self._head = _FORMAT + derived[_KEY_BYTES:]

    def seal(self, text: str, *, owner: UUID) -> bytes:
        """Return the text as only this installation can read it, and only for this owner."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._head + nonce + self._cipher.encrypt(nonce, text.encode(), owner.bytes)

    def unseal(self, sealed: bytes, *, owner: UUID) -> str:
        """Return the text again; raises `Unreadable`."""
        head, rest = sealed[: len(self._head)], sealed[len(self._head) :]
        if head != self._head:
            raise Unreadable("It was sealed under another signing key.")
        try:
            return self._cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], owner.bytes).decode()
        except (InvalidTag, ValueError) as error:
            raise Unreadable("It is damaged, or belongs to another account.") from error
