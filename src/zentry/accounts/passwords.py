"""Passwords: what is accepted, and how it is kept.

bcrypt is the default, argon2id can be chosen. bcrypt reads 72 bytes and stops at a zero byte. What
is hashed here is therefore not the password but base64(HMAC-SHA-256(constant, NFKC password)): 44
characters that depend on all of it. The constant is no secret; it only keeps these hashes apart from
those of other applications.

Hashing takes a quarter of a second of CPU, so it runs in a few threads behind a short queue. Whoever
finds the queue full is sent away, and everybody else's requests stay fast.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Final, Protocol, TypeVar

import argon2
import bcrypt

from zentry.accounts.blocklist import is_guessable, listed_passwords
from zentry.accounts.errors import HashingBusy, WeakPassword
from zentry.platform.settings import SecuritySettings

MAX_PASSWORD_LENGTH: Final = 256
ONE_CHARACTER_PATTERN: Final = r"^([\s\S])\1*$"

Result = TypeVar("Result")

_NICE: Final = 10
_MOST_THREADS: Final = 2
_BCRYPT: Final = "$2"
_ARGON: Final = "$argon2id$"
_PEPPER: Final = b"zentry-cloud/password/v1"


class PasswordPolicy:
    """Says which passwords may be chosen: long enough, and not among the first that anyone would try."""

    def __init__(self, settings: SecuritySettings) -> None:
        self._min_length = settings.password_min_length
        listed_passwords()  # Read at the start, not by the first who signs up.

    def check(self, password: str, *, email: str, name: str) -> None:
        """Raise `WeakPassword` unless the password may be used for this account.

        Lists are compared with the whole password only: a common word inside a long one does no harm.
        """
        normal = _normalise(password)
        if len(normal) < self._min_length:
            raise WeakPassword(f"A password has at least {self._min_length} characters.")
        if len(password) > MAX_PASSWORD_LENGTH:
            raise WeakPassword(f"A password has at most {MAX_PASSWORD_LENGTH} characters.")
        if re.fullmatch(ONE_CHARACTER_PATTERN, password):
            raise WeakPassword("A password is more than one character repeated. Choose another.")
        folded = normal.casefold()
        own = {_normalise(word).casefold() for word in (email, email.partition("@")[0], name, name.replace(" ", ""))}
        if folded in own:
            raise WeakPassword("The password must not be your e-mail or your name.")
        if is_guessable(folded, own=own):
            raise WeakPassword("This password is among the first that anyone would try. Choose another.")


class Hasher(Protocol):
    """Turns passwords into what is stored of them, and compares."""

    async def hash(self, password: str) -> str:
        """Return what is stored of a password."""
        ...

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Tell whether the password belongs to the hash; without one, do the same work and say no."""
        ...

    def is_outdated(self, hashed: str) -> bool:
        """Tell whether the hash should be made anew."""
        ...


class PasswordHasher:
    """Hashes and checks passwords off the event loop, a bounded number at once.

    The setting says how new hashes are made; whatever is stored is checked in its own way, and made
    anew at the next login.
    """

    def __init__(self, settings: SecuritySettings) -> None:
        self._cost = settings.bcrypt_cost
        self._argon = None
        if settings.password_hash == "argon2id":  # noqa: S105 - the name of an algorithm
            self._argon = argon2.PasswordHasher(
                time_cost=settings.argon2_rounds, memory_cost=settings.argon2_memory_mib * 1024, parallelism=1
            )
        threads = threads_of(settings, processors=os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="password", initializer=_yield_to_others)
        self._room = BoundedSemaphore(threads + settings.hash_queue)
        # An unknown e-mail costs the same work as a known one. Made by the pool, so that a start does not wait for it.
        self._dummy = self._threads.submit(self._make, "nobody has this password")

    async def hash(self, password: str) -> str:
        """Return what is stored of a password."""
        return await self._run(lambda: self._make(password))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Tell whether the password belongs to the hash; without one, do the same work and say no."""

        def check() -> bool:
            is_usable = hashed is not None and hashed.startswith((_BCRYPT, _ARGON))
            against = hashed if hashed is not None and is_usable else self._dummy.result()
            return _fits(password, against) and is_usable

        return await self._run(check)

    def is_outdated(self, hashed: str) -> bool:
        """Tell whether the hash was made in another way than today's."""
        if self._argon is not None:
            return not hashed.startswith(_ARGON) or self._argon.check_needs_rehash(hashed)
        return not hashed.startswith(_BCRYPT) or hashed.split("$")[2] != f"{self._cost:02d}"

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _make(self, password: str) -> str:
        if self._argon is not None:
            return self._argon.hash(_digest(password))
        return bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._cost)).decode()

    async def _run(self, job: Callable[[], Result]) -> Result:
        if not self._room.acquire(blocking=False):
            raise HashingBusy

        def leave(_: Future[Result]) -> None:
            self._room.release()

        future = self._threads.submit(job)
        future.add_done_callback(leave)  # Also when the request was cancelled while it waited.
        return await asyncio.wrap_future(future)


def threads_of(settings: SecuritySettings, *, processors: int) -> int:
    """Return how many passwords are hashed at once: unless it is set, one processor is left to other requests.

    A priority alone does not do: the scheduler lets a thread run for some milliseconds before it makes way.
    """
    return settings.hash_threads or max(1, min(_MOST_THREADS, processors - 1))


def _yield_to_others() -> None:
    """Let the thread that answers everybody else's requests go first where cores are few."""
    if sys.platform == "linux":  # There, and there alone, a thread has a priority of its own.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _fits(password: str, hashed: str) -> bool:
    if not hashed.startswith(_ARGON):
        return bcrypt.checkpw(_digest(password), hashed.encode())
    try:
        return argon2.PasswordHasher().verify(hashed, _digest(password))
    except argon2.exceptions.VerifyMismatchError:
        return False


def _digest(password: str) -> bytes:
    return base64.b64encode(hmac.digest(_PEPPER, _normalise(password).encode(), hashlib.sha256))


def _normalise(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
