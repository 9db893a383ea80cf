"""The data directory: made private at first use, and held by a lock file while a process lives.

SQLite is for one process, so the lock is exclusive there. On PostgreSQL several processes of one
machine share the directory (the simulator's world, the signing key), and hold the lock together:
what it still keeps out is an embedded platform beside them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from zentry.platform.starting import CannotStart

LOCK_FILE: Final = "zentry.lock"
_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class DataDirectoryUnusable(CannotStart):
    """The directory cannot be made or written."""


class DataDirectoryInUse(CannotStart):
    """Another process holds the directory."""


def make_data_directory(path: Path) -> None:
    """Make the directory, for its owner alone, unless it is there."""
    try:
        path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error


@contextmanager
def hold_data_directory(path: Path, *, shared: bool) -> Iterator[None]:
    """Hold the directory for as long as the block lasts, or raise `DataDirectoryInUse`."""
    make_data_directory(path)
    try:
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataDirectoryInUse(_in_use(path, os.pread(lock, 20, 0))) from error
        except OSError as error:  # A file system without locks.
            raise _unusable(path, error) from error
        if not shared:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)  # Which lets go of the lock; the file stays, since removing it would race.


def _in_use(path: Path, holder: bytes) -> str:
    by = f"process {holder.decode()}" if holder.isdigit() else "another process"
    return (
        f"The data directory {path.absolute()} is in use by {by}. Stop it, or choose another directory with --data-dir "
        "or ZENTRY_DATA_DIR. Several processes need PostgreSQL: set ZENTRY_DATABASE__URL in all of them."
    )


def _unusable(path: Path, error: OSError) -> DataDirectoryUnusable:
    return DataDirectoryUnusable(
        f"The data directory {path.absolute()} cannot be used: {error.strerror or error}. "
        "Make it writable for this account, or choose another with --data-dir or ZENTRY_DATA_DIR."
    )
