"""Words for what can be expected to keep a command from its work."""

from __future__ import annotations

from collections.abc import Sequence

from zentry.platform.starting import CannotStart


def explain(error: BaseException) -> str | None:
    """Return what to tell the person at the terminal, or None for what nobody foresaw."""
    if isinstance(error, BaseExceptionGroup):
        return _together([explain(one) for one in error.exceptions])
    if isinstance(error, CannotStart):
        return str(error)
    return _of_platform(error) or _of_database(error) or _of_system(error)


def _of_platform(error: BaseException) -> str | None:
    # Imported here: a failure before these were needed is none of theirs.
    from zentry.compute.driver import DriverError, UnknownDriver
    from zentry.platform.db.migrations import SchemaMismatch
    from zentry.platform.errors import ZentryError

    if isinstance(error, UnknownDriver):
        return f"{error} Correct ZENTRY_COMPUTE__DRIVER, or install the package that offers it."
    if isinstance(error, DriverError):
        return f"The compute driver cannot work: {error.message}"
    if isinstance(error, SchemaMismatch):
        return str(error)
    return error.message if isinstance(error, ZentryError) else None


def _of_database(error: BaseException) -> str | None:
    from zentry.platform.db.faults import is_database_away

    if not (is_database_away(error) or _is_refused_by_database(error)):
        return None
    return (
        f"The database cannot be used: {_cause(error)}. Is the server up, and is ZENTRY_DATABASE__URL right "
        "(host, port, account, password, database)?"
    )


def _of_system(error: BaseException) -> str | None:
    return f"{error.filename}: {error.strerror}." if isinstance(error, OSError) and error.filename else None


def _is_refused_by_database(error: BaseException) -> bool:
    """Tell whether the server did not let us in, or the file is no database."""
    import asyncpg
    import sqlalchemy as sa

    refusals = (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InsufficientPrivilegeError,
        asyncpg.InterfaceError,
    )
    if isinstance(error, sa.exc.DatabaseError) and "not a database" in str(error.orig):
        return True
    return isinstance(error, refusals) or isinstance(getattr(error, "orig", None), refusals)


def _cause(error: BaseException) -> str:
    text = str(getattr(error, "orig", None) or error) or type(error).__name__
    return text.splitlines()[0].rstrip(".")


def _together(messages: Sequence[str | None]) -> str | None:
    known = [message for message in messages if message is not None]
    return "\n".join(dict.fromkeys(known)) if len(known) == len(messages) else None
