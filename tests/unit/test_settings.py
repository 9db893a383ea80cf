"""The settings: where they come from, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel, ValidationError

from zentry.platform.settings import Environment, Settings

_GROUPS: Final = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_defaults_stand_without_an_environment() -> None:
    settings = Settings()

    assert settings.env is Environment.DEVELOPMENT
    assert settings.server.host == "127.0.0.1"
    assert settings.resolved_database.url == f"sqlite:///{Path('data').absolute()}/zentry.db"


def test_the_environment_sets_a_field_and_leaves_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENTRY_SERVER__PORT", "9000")

    settings = Settings()

    assert (settings.server.port, settings.server.host) == (9000, "127.0.0.1")


def test_a_file_sets_what_the_environment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("ZENTRY_SERVER__PORT=9000\nZENTRY_LOG__LEVEL=debug\n")
    monkeypatch.setenv("ZENTRY_SERVER__PORT", "9001")

    settings = Settings()

    assert (settings.server.port, settings.log.level) == (9001, "debug")


def test_a_named_database_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENTRY_DATABASE__URL", "postgresql://localhost/zentry")

    assert Settings().resolved_database.url == "postgresql://localhost/zentry"


def test_settings_cannot_change() -> None:
    settings = Settings()

    with pytest.raises(ValidationError):
        setattr(settings.server, "port", 1)  # noqa: B010 - the type checker forbids the plain spelling
    with pytest.raises(ValidationError):
        setattr(settings, "env", Environment.TEST)  # noqa: B010 - as above


def test_the_signing_key_does_not_show() -> None:
    settings = Settings(security={"signing_key": "a-key-that-nobody-may-see-0123456"})

    assert "nobody-may-see" not in repr(settings)
    assert "nobody-may-see" not in settings.model_dump_json()


@pytest.mark.parametrize(("group", "model"), _GROUPS.items())
def test_every_field_is_described_and_every_number_has_a_lower_bound(group: str, model: type[BaseModel]) -> None:
    for name, schema in model.model_json_schema()["properties"].items():
        assert schema.get("description", "").endswith("."), f"{group}.{name} has no sentence"
        if schema.get("type") in {"integer", "number"}:
            assert {"minimum", "exclusiveMinimum"} & schema.keys(), f"{group}.{name} has no lower bound"
