"""Where a request comes from, for whoever records what it does. Personal data: it goes into no log line."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Origin:
    """The session, the address and the program behind a request."""

    session_id: UUID | None
    address: str
    agent: str


# A function, because few requests record anything and to find the address costs something.
ORIGIN: Final[ContextVar[Callable[[], Origin] | None]] = ContextVar("origin", default=None)


def find_origin() -> Origin | None:
    """Return where the request that is being handled comes from; None where there is no request."""
    find = ORIGIN.get()
    return None if find is None else find()
