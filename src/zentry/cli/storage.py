"""Where a process keeps its files, held for as long as it lives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa

from zentry.platform.data_directory import hold_data_directory, make_data_directory
from zentry.platform.settings import Environment, Settings


@contextmanager
def hold_storage(settings: Settings) -> Iterator[Settings]:
    """Hold the data directory, and give back the settings with the place that was chosen.

    SQLite is for one process, so it is held exclusively, wherever its file lies.
    """
    with throw_away_storage(settings) as chosen, ExitStack() as stack:
        file = sqlite_file(chosen)
        stack.enter_context(hold_data_directory(chosen.data_dir, shared=file is None))
        if file is not None and file.parent.absolute() != chosen.data_dir.absolute():
            stack.enter_context(hold_data_directory(file.parent, shared=False))
        yield chosen


@contextmanager
def throw_away_storage(settings: Settings) -> Iterator[Settings]:
    """Give the environment `test` a directory that goes away, unless one was named; others keep theirs."""
    if settings.env is Environment.TEST and "data_dir" not in settings.model_fields_set:
        with tempfile.TemporaryDirectory(prefix="zentry-") as directory:
            yield settings.model_copy(update={"data_dir": Path(directory)})
        return
    make_data_directory(settings.data_dir)
    yield settings


def sqlite_file(settings: Settings) -> Path | None:
    """Return the file of the embedded database, or None where there is none."""
    url = sa.make_url(settings.resolved_database.url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def shown_database(settings: Settings) -> str:
    """Return where the data lies, without a password."""
    file = sqlite_file(settings)
    return str(file) if file else sa.make_url(settings.resolved_database.url).render_as_string(hide_password=True)
