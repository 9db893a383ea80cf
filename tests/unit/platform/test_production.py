"""What production refuses."""

from __future__ import annotations

from typing import Any

import pytest

from zentry.platform.production import InsecureSettings, ensure_safe, problems
from zentry.platform.settings import Environment, Settings

_KEY = "vK2nq0Zr8yWmT5bLh7cXs1dJf4gPa9eU"
_SAFE: dict[str, dict[str, Any]] = {
    "database": {"url": "postgresql://zentry@db.internal/zentry?ssl=verify-full"},
    "security": {"signing_key": _KEY},
    "billing": {"self_service_credit": False},
    "log": {"format": "json"},
    "mail": {"transport": "smtp", "host": "smtp.internal"},
}


def _settings(**groups: dict[str, Any]) -> Settings:
    return _settings_of(Environment.PRODUCTION, groups)


def _settings_of(environment: Environment, groups: dict[str, dict[str, Any]]) -> Settings:
    merged = {name: {**_SAFE.get(name, {}), **groups.get(name, {})} for name in {*_SAFE, *groups}}
    return Settings(_env_file=None, env=environment, **merged)  # type: ignore[arg-type]  # groups as plain data


def test_safe_settings_have_no_problem() -> None:
    assert problems(_settings()) == []


@pytest.mark.parametrize(
    ("groups", "setting"),
    [
        ({"security": {"signing_key": ""}}, "ZENTRY_SECURITY__SIGNING_KEY"),
        ({"security": {"signing_key": "too-short"}}, "ZENTRY_SECURITY__SIGNING_KEY"),
        ({"security": {"signing_key": "a" * 64}}, "ZENTRY_SECURITY__SIGNING_KEY"),
        ({"security": {"signing_key": "please-changeme-please-changeme-1234"}}, "ZENTRY_SECURITY__SIGNING_KEY"),
        ({"security": {"bcrypt_cost": 9}}, "ZENTRY_SECURITY__BCRYPT_COST"),
        ({"server": {"cors_origins": ["*"]}}, "ZENTRY_SERVER__CORS_ORIGINS"),
        ({"server": {"cors_origins": ["*"], "cors_credentials": True}}, "ZENTRY_SERVER__CORS_ORIGINS"),
        ({"database": {"url": ""}}, "ZENTRY_DATABASE__URL"),
        ({"database": {"url": "postgresql://zentry@db.internal/zentry"}}, "ZENTRY_DATABASE__URL"),
        ({"database": {"url": "postgresql://zentry@10.0.0.5/zentry?ssl=prefer"}}, "ZENTRY_DATABASE__URL"),
        ({"mail": {"tls": "none"}}, "ZENTRY_MAIL__TLS"),
        ({"billing": {"self_service_credit": True}}, "ZENTRY_BILLING__SELF_SERVICE_CREDIT"),
    ],
)
def test_an_insecure_setting_is_refused_with_a_remedy(groups: dict[str, dict[str, Any]], setting: str) -> None:
    found = problems(_settings(**groups))

    assert [problem.setting for problem in found] == [setting]
    assert found[0].fatal
    assert found[0].why
    assert found[0].fix


@pytest.mark.parametrize(
    "url", ["postgresql://localhost/z", "postgresql://127.0.0.1/z", "postgresql://[::1]/z", "postgresql:///z?host=/run"]
)
def test_a_database_on_the_same_machine_needs_no_tls(url: str) -> None:
    assert problems(_settings(database={"url": url})) == []


def test_sqlite_is_accepted_when_asked_for_and_then_keeps_its_own_key() -> None:
    groups: dict[str, dict[str, Any]] = {
        "database": {"url": "", "allow_sqlite_in_production": True},
        "security": {"signing_key": ""},
    }

    assert problems(_settings(**groups)) == []


def test_a_log_for_people_is_only_a_warning() -> None:
    settings = _settings(log={"format": "console"})

    ensure_safe(settings)

    assert [problem.fatal for problem in problems(settings)] == [False]


def test_all_problems_are_told_at_once_and_no_secret_with_them() -> None:
    settings = _settings(
        database={"url": "postgresql://zentry:hunter2@db.internal/z"},
        security={"signing_key": "changeme", "bcrypt_cost": 4},
        billing={"self_service_credit": True},
        server={"cors_origins": ["*"]},
    )

    with pytest.raises(InsecureSettings) as refused:
        ensure_safe(settings)

    assert len(refused.value.problems) == 5
    assert all(problem.setting in str(refused.value) for problem in refused.value.problems)
    assert "hunter2" not in str(refused.value)
    assert "changeme" not in str(refused.value)


@pytest.mark.parametrize("environment", [Environment.DEVELOPMENT, Environment.TEST])
def test_other_environments_are_free(environment: Environment) -> None:
    assert problems(_settings_of(environment, {"security": {"signing_key": "x"}})) == []
