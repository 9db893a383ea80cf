"""The key that signs tokens: made at the first start, kept beside the data, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from zentry.platform.sealing import Sealer
from zentry.platform.settings import Settings
from zentry.platform.starting import CannotStart

KEY_FILE: Final = "signing.key"
MIN_KEY_LENGTH: Final = 32
_PRIVATE_FILE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_KEY_BYTES: Final = 48


class SigningKeyUnusable(CannotStart):
    """The key file is exposed, damaged or out of reach."""


def load_or_create_signing_key(data_dir: Path) -> str:
    """Return the key in the data directory, making it when there is none."""
    path = data_dir / KEY_FILE
    try:
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as error:
        raise SigningKeyUnusable(f"The signing key {path} cannot be used: {error.strerror or error}.") from error


def sealer_of(settings: Settings, signing_key: str) -> Sealer:
    """Return what seals texts in the database: the keys set for that, then the signing key, which was the first.

    Whatever has ever sealed stays able to open, until `zentry keys status` shows that nothing needs it.
    """
    chosen = [key.get_secret_value() for key in settings.security.encryption_keys]
    if any(len(key) < MIN_KEY_LENGTH for key in chosen):
        raise SigningKeyUnusable(
            f"ZENTRY_SECURITY__ENCRYPTION_KEYS holds a key of fewer than {MIN_KEY_LENGTH} characters. Make one with: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return Sealer(*[*chosen, signing_key])


def _create(path: Path) -> None:
    """Put a new key in place, whole or not at all; of two processes that try, one key wins."""
    draft = path.with_name(f"{KEY_FILE}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        os.write(file, f"{secrets.token_urlsafe(_KEY_BYTES)}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # Another process was faster, and its key is the one.
    finally:
        draft.unlink()


def _read(path: Path) -> str:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & _OTHERS:
            raise SigningKeyUnusable(
                f"The signing key {path} can be read by other accounts (mode {stat.S_IMODE(mode):04o}). Whoever "
                f"reads it can sign in as anyone: remove it so that a new one is made (everyone signs in again), or, "
                f"if nobody else was on this machine, run: chmod 600 {path}"
            )
        key = file.read(4096).decode(errors="replace").strip()
    if len(key) < MIN_KEY_LENGTH:
        raise SigningKeyUnusable(
            f"The signing key {path} holds fewer than {MIN_KEY_LENGTH} characters. Remove it so that a new one is made."
        )
    return key
