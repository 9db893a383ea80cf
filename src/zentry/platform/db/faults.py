"""Which failures mean that the database is away or busy, so that trying again will help."""

from __future__ import annotations

import socket
from typing import Final

import sqlalchemy.exc as sa_exc

# Classes and codes of PostgreSQL: connection (08), resources (53), operator intervention (57: shutdown, statement
# timeout), system (58); serialization failure, deadlock, lock not available.
_CLASSES: Final = ("08", "53", "57", "58")
_CODES: Final = frozenset({"40001", "40P01", "55P03"})


def is_database_away(error: BaseException) -> bool:
    """Tell whether `error` says that the database cannot serve now, rather than that the statement is wrong."""
    if isinstance(error, sa_exc.DBAPIError):
        if error.connection_invalidated or isinstance(error, sa_exc.OperationalError | sa_exc.InterfaceError):
            return True
        return error.orig is not None and _says_so(error.orig)
    # The pool's timeout; and what asyncpg raises while it connects, which SQLAlchemy hands on as it is.
    return isinstance(error, sa_exc.TimeoutError | ConnectionError | TimeoutError | socket.gaierror) or _says_so(error)


def _says_so(error: BaseException) -> bool:
    code = getattr(error, "sqlstate", None)
    return isinstance(code, str) and (code in _CODES or code.startswith(_CLASSES))
