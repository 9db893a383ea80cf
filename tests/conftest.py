"""A whole platform for each test: a real database, the simulator, a clock that stands still."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support.platform import PlatformUnderTest, open_under_test, settings_for_tests
from tests.support.recycled import RecycledDatabase
from zentry.invariants import broken_invariants
from zentry.platform.clock import SystemClock
from zentry.wiring import open_platform

pytest_plugins = ["tests.support.postgres_plugin"]

# How long an example takes says how busy the machine is; speed lives in benchmarks/.
hypothesis.settings.register_profile("zentry", deadline=None)
hypothesis.settings.load_profile("zentry")


async def _migrate(url: str, data_dir: Path) -> None:
    settings = settings_for_tests(data_dir, database={"url": url})
    async with open_platform(settings, clock=SystemClock()) as platform:
        await platform.migrations.upgrade()


@pytest.fixture(scope="session")
def _sqlite_template() -> list[Path]:
    """The migrated database to copy, made when the first test asks for one."""
    return []


@pytest.fixture(scope="session")
def _recycled_postgresql(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> RecycledDatabase:
    """A migrated database that is emptied after each test."""
    return RecycledDatabase(postgres_url, lambda url: _migrate(url, tmp_path_factory.mktemp("template")))


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Run the test on both databases."""
    return str(request.param)


@pytest.fixture
async def database_url(
    dialect: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    _sqlite_template: list[Path],
) -> AsyncIterator[str]:
    """Return the URL of a migrated database in which nothing has happened yet."""
    if dialect == "sqlite":
        if not _sqlite_template:
            template = tmp_path_factory.mktemp("template") / "zentry.db"
            await _migrate(f"sqlite:///{template}", template.parent)
            _sqlite_template.append(template)
        shutil.copy(_sqlite_template[0], tmp_path / "zentry.db")
        yield f"sqlite:///{tmp_path / 'zentry.db'}"
        return
    recycled: RecycledDatabase = request.getfixturevalue("_recycled_postgresql")
    async with recycled.lend() as url:
        yield url


@pytest.fixture
def overrides() -> dict[str, Any]:
    """Settings that a test wants otherwise; override the fixture in a module or by parametrising it."""
    return {}


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, overrides: dict[str, Any]) -> AsyncIterator[PlatformUnderTest]:
    """A platform on each database; afterwards its books must be in order."""
    settings = settings_for_tests(tmp_path, **{"database": {"url": database_url}, **overrides})
    async with open_under_test(settings) as under_test:
        yield under_test
        assert await broken_invariants(under_test.database) == []
