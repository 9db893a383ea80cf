"""Words for settings that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from zentry.cli.configuration import BadSettings, load_settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_option_stands_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENTRY_SERVER__PORT", "9000")
    monkeypatch.setenv("ZENTRY_SERVER__HOST", "127.0.0.2")

    settings = load_settings(port=9001, data_dir=Path("elsewhere"))

    assert (settings.server.port, settings.server.host) == (9001, "127.0.0.2")
    assert settings.data_dir == Path("elsewhere")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ZENTRY_SERVER__PORT", "many", "ZENTRY_SERVER__PORT (--port): must be a whole number from 0 to 65535"),
        ("ZENTRY_SERVER__DOCS", "perhaps", "ZENTRY_SERVER__DOCS: must be true or false (it is 'perhaps')"),
        ("ZENTRY_OPERATIONS__LEASE_SECONDS", "0", "must be a number above 0 up to 600"),
        ("ZENTRY_SERVER__CORS_ORIGINS", "everyone", "ZENTRY_SERVER__CORS_ORIGINS: must be a JSON list"),
        ("ZENTRY_SECURITY__TRUSTED_PROXIES", '["the-lan"]', "must be networks such as 10.0.0.0/8"),
        ("ZENTRY_COMPUTE__NETWORK", "10.0.0.1/8", "must be an IPv4 network"),
        ("ZENTRY_DATABASE__URL", "sqlite://", "must name a file"),
        ("ZENTRY_DATABASE__URL", "no url at all", "must be sqlite:///PATH or postgresql://"),
        ("ZENTRY_QUOTAS__VMS", "1", "there is no such setting. Did you mean ZENTRY_QUOTAS__VMS_PER_USER?"),
        ("ZENTRY_ENV", "prod", "ZENTRY_ENV: must be development, test or production"),
    ],
)
def test_a_setting_that_does_not_fit_is_named_with_what_it_may_be(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(BadSettings) as refused:
        load_settings()

    assert len(refused.value.lines) == 1
    assert words in refused.value.lines[0]


def test_the_password_of_a_bad_database_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENTRY_DATABASE__URL", "mysql://root:hunter2hunter2@localhost/zentry")

    with pytest.raises(BadSettings) as refused:
        load_settings()

    assert "hunter2" not in str(refused.value)
