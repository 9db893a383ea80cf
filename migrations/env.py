"""Where Alembic enters. The program hands over an open connection; nothing else runs migrations.

Everything happens in the transaction of that connection: after a failure the database is as before.
"""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite's DDL is transactional as well, since the program says BEGIN itself.
    transactional_ddl=True,
    # Copies a table where SQLite cannot alter it.
    render_as_batch=True,
)
context.run_migrations()
