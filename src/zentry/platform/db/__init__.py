"""The database: engines, units of work, column types, migrations, health."""

from zentry.platform.db.database import Database
from zentry.platform.db.rows import Rows
from zentry.platform.db.transaction import Dialect, Transaction, values

__all__ = ["Database", "Dialect", "Rows", "Transaction", "values"]
