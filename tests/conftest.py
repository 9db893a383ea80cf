"""A whole platform for each test: a real database, the simulator, a clock that stands still."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import hypothesis
import pytest

from tests.support.platform import PlatformUnderTest, open_under_test, settings_for_tests
from zentry.invariants import broken_invariants
from zentry.platform.clock import SystemClock
from zentry.wiring import open_platform

pytest_plugins = ["tests.support.postgres_plugin"]

_names = itertools.count(1)

# How long an example takes says how busy the machine is; speed lives in benchmarks/.
hypothesis.settings.register_profile("zentry", deadline=None)
hypothesis.settings.load_profile("zentry")


async def _migrate(url: str, data_dir: Path) -> None:
    settings = settings_for_tests(data_dir, database={"url": url})
    async with open_platform(settings, clock=SystemClock()) as platform:
        await platform.migrations.upgrade()


@pytest.fixture(scope="session")
def _templates() -> dict[str, str]:
    """Migrated databases to copy from, made when the first test asks for one."""
    return {}


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
    _templates: dict[str, str],
) -> AsyncIterator[str]:
    """Return the URL of a fresh, migrated database that goes away after the test."""
    if dialect == "sqlite":
        if dialect not in _templates:
            template = tmp_path_factory.mktemp("template") / "zentry.db"
            await _migrate(f"sqlite:///{template}", template.parent)
            _templates[dialect] = str(template)
        shutil.copy(_templates[dialect], tmp_path / "zentry.db")
        yield f"sqlite:///{tmp_path / 'zentry.db'}"
        return
    admin_url: str = request.getfixturevalue("postgres_url")
    server, _, _ = admin_url.rpartition("/")
    prefix = f"t{os.getpid()}"
    admin = await asyncpg.connect(admin_url)
    try:
        if dialect not in _templates:
            await admin.execute(f"CREATE DATABASE {prefix}_template")
            await _migrate(f"{server}/{prefix}_template", tmp_path_factory.mktemp("template"))
            _templates[dialect] = f"{prefix}_template"
        name = f"{prefix}_{next(_names)}"
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {_templates[dialect]} STRATEGY file_copy")
        yield f"{server}/{name}"
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


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
