"""One PostgreSQL server for a whole test run, however many workers share it.

The process that pytest was started in owns it; workers get its address. Without workers it is
started when the first test asks for it. ZENTRY_TEST_POSTGRES_URL names a server to use instead.
"""

from __future__ import annotations

import os
from typing import Any, Final

import pytest

from tests.support.postgres import PostgresServer, start_postgres

_URL: Final = "ZENTRY_TEST_POSTGRES_URL"
_ADDRESS: Final = pytest.StashKey[str]()
_SERVER: Final = pytest.StashKey[PostgresServer]()


def pytest_configure(config: pytest.Config) -> None:
    """Find out whose server it is; with workers, start it before they do."""
    given = getattr(config, "workerinput", {}).get("postgres_url") or os.environ.get(_URL)
    if given:
        config.stash[_ADDRESS] = given
    elif getattr(config.option, "tx", None) and not config.option.collectonly:
        _address(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the server is."""
    node.workerinput["postgres_url"] = _address(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server if it is ours."""
    if _SERVER in config.stash:
        config.stash[_SERVER].stop()


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> str:
    """Return the URL of the server's database `postgres`, as its superuser."""
    return _address(pytestconfig)


def _address(config: pytest.Config) -> str:
    if _ADDRESS not in config.stash:
        server = start_postgres()
        config.stash[_SERVER] = server
        config.stash[_ADDRESS] = server.url
    return config.stash[_ADDRESS]
