"""Secrets at rest: text that only this installation can read, for columns that a stolen backup should not tell."""

from __future__ import annotations

import os
from dataclasses import dataclass
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
HEAD_BYTES: Final = len(_FORMAT) + _KEY_ID_BYTES
_PURPOSE: Final = b"zentry: text sealed at rest"


class Unreadable(Exception):
    """What was sealed cannot be opened: by another key, for another owner, or damaged."""


class Sealer:
    """Seals text with AES-256-GCM under keys that are derived from the installation's secrets (HKDF, RFC 5869).

    The first secret seals; all of them open, so that a new one can take over while rows are still
    under an old one. A sealed text belongs to its owner: moved to another one's row, it cannot be
    opened. It carries the id of its key, so that a later key can be told from damage.
    """

    def __init__(self, secret: str, *earlier: str) -> None:
        keys = [_Key.derive(one) for one in (secret, *earlier)]
        self._current = keys[0]
        self._keys = {key.head: key for key in keys}

    @property
    def head(self) -> bytes:
        """What each text begins with that is sealed now."""
        return self._current.head

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys that are known, the one that seals first."""
        return tuple(key_id_of(head) for head in self._keys)

    def seal(self, text: str, *, owner: UUID) -> bytes:
        """Return the text as only this installation can read it, and only for this owner."""
        nonce = os.urandom(_NONCE_BYTES)
        return self.head + nonce + self._current.cipher.encrypt(nonce, text.encode(), owner.bytes)

    def unseal(self, sealed: bytes, *, owner: UUID) -> str:
        """Return the text again; raises `Unreadable`."""
        key, rest = self._keys.get(sealed[:HEAD_BYTES]), sealed[HEAD_BYTES:]
        if key is None:
            raise Unreadable(f"It was sealed under another key, {key_id_of(sealed)}.")
        try:
            return key.cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], owner.bytes).decode()
        except (InvalidTag, ValueError) as error:
            raise Unreadable("It is damaged, or belongs to another account.") from error


@dataclass(frozen=True, slots=True)
class _Key:
    head: bytes
    cipher: AESGCM

    @classmethod
    def derive(cls, secret: str) -> _Key:
        derived = HKDF(SHA256(), _KEY_BYTES + _KEY_ID_BYTES, salt=None, info=_PURPOSE).derive(secret.encode())
        return cls(_FORMAT + derived[_KEY_BYTES:], AESGCM(derived[:_KEY_BYTES]))


def key_id_of(sealed: bytes) -> str:
    """Return the id of the key that a text was sealed under, as people are shown it."""
    return sealed[len(_FORMAT) : HEAD_BYTES].hex()
