"""Settings for a command: the environment with the options over it, and words for what does not fit."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

from zentry.platform.db.database import dialect_of
from zentry.platform.settings import Settings
from zentry.platform.starting import CannotStart

_OPTIONS: Final[Mapping[tuple[str, ...], str]] = {
    ("server", "host"): "--host",
    ("server", "port"): "--port",
    ("data_dir",): "--data-dir",
}
_TYPES: Final = {"boolean": "true or false", "array": 'a JSON list such as \'["one", "two"]\''}
_DATABASE_URL: Final = "ZENTRY_DATABASE__URL"
_SHOWN_CHARACTERS: Final = 60


class BadSettings(CannotStart):
    """Settings that do not fit; the message names each one."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        noun = "This setting does" if len(lines) == 1 else f"These {len(lines)} settings do"
        super().__init__(f"{noun} not fit:\n\n" + "\n".join(f"  {line}" for line in lines))


def load_settings(*, host: str | None = None, port: int | None = None, data_dir: Path | None = None) -> Settings:
    """Read the settings, or raise `BadSettings` with everything that is wrong with them."""
    server = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    given: dict[str, Any] = {}
    if server:
        given["server"] = server
    if data_dir is not None:
        given["data_dir"] = data_dir
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise BadSettings(
            [_line(one["loc"], one["type"], one["msg"], one["input"]) for one in error.errors()]
        ) from error
    except SettingsError as error:
        raise BadSettings([_unreadable(error)]) from error
    if wrong := list(_wrong_texts(settings)):
        raise BadSettings(wrong)
    return settings


def variable_of(location: tuple[str, ...]) -> str:
    """Return the environment variable of a setting."""
    return "ZENTRY_" + "__".join(location).upper()


def allowed(field: FieldInfo, schema: Mapping[str, Any]) -> str:
    """Say in words what a setting may be, from its JSON schema."""
    if field.annotation is SecretStr:
        return "a secret text"
    if "enum" in schema:
        return _alternatives([str(value) for value in schema["enum"]])
    pattern = str(schema.get("pattern", ""))
    if pattern.startswith("^(") and pattern.endswith(")$"):
        return _alternatives(pattern[2:-2].split("|"))
    kind = schema.get("type")
    if kind in {"integer", "number"}:
        noun = "a whole number" if kind == "integer" else "a number"
        return " ".join([noun, *_bounds(schema)])
    return _TYPES.get(str(kind), "a text")


def _line(location: tuple[int | str, ...], kind: str, message: str, given: object) -> str:
    path = tuple(str(part) for part in location)[:2]
    name = variable_of(path)
    if path in _OPTIONS:
        name = f"{name} ({_OPTIONS[path]})"
    field, schema = _field(path)
    if field is None or kind == "extra_forbidden":
        return f"{name}: there is no such setting.{_nearest(path)}"
    shown = (
        ""
        if field.annotation is SecretStr or isinstance(given, dict)
        else f" (it is {str(given)[:_SHOWN_CHARACTERS]!r})"
    )
    if not schema:
        return f"{name}: {message}{shown}."
    return f"{name}: must be {allowed(field, schema)}{shown}. {field.description}"


def _wrong_texts(settings: Settings) -> Iterator[str]:
    """Find texts that have a grammar which their type does not tell."""
    url = settings.resolved_database.url
    try:
        is_file = dialect_of(url) == "sqlite"
        if is_file and sa.make_url(url).database in {None, "", ":memory:"}:
            yield f"{_DATABASE_URL}: must name a file, as sqlite:///data/zentry.db does."
    except (ValueError, sa.exc.ArgumentError):
        # Not repeated here: it may hold a password.
        yield f"{_DATABASE_URL}: must be sqlite:///PATH or postgresql://ACCOUNT:PASSWORD@HOST:PORT/DATABASE."
    if settings.database.direct_url and not settings.database.direct_url.startswith("postgresql://"):
        yield "ZENTRY_DATABASE__DIRECT_URL: must be postgresql://ACCOUNT:PASSWORD@HOST:PORT/DATABASE."
    try:
        ipaddress.IPv4Network(settings.compute.network)
    except ValueError as error:
        yield f"ZENTRY_COMPUTE__NETWORK: must be an IPv4 network such as 10.64.0.0/12 ({error})."
    for network in settings.security.trusted_proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            yield f"ZENTRY_SECURITY__TRUSTED_PROXIES: must be networks such as 10.0.0.0/8 ({error})."


def _unreadable(error: SettingsError) -> str:
    """Say which list was not JSON; the library names only the group."""
    group = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "")
    given = getattr(error.__cause__, "doc", "")
    model = _group(group)
    lists = [
        variable_of((group, name))
        for name, schema in (model.model_json_schema()["properties"].items() if model else ())
        if schema.get("type") == "array"
    ]
    names = " or ".join(lists) or variable_of((group,))
    return f"{names}: must be {_TYPES['array']} (it is {given[:_SHOWN_CHARACTERS]!r})."


def _field(path: tuple[str, ...]) -> tuple[FieldInfo | None, Mapping[str, Any]]:
    if len(path) == 1:
        field = Settings.model_fields.get(path[0])
        schema: Mapping[str, Any] = {}
        if field is not None and path[0] not in _groups():
            document = Settings.model_json_schema()
            schema = document["properties"][path[0]]
            if "$ref" in schema:
                schema = document["$defs"][str(schema["$ref"]).rsplit("/", 1)[-1]]
        return field, schema
    group = _group(path[0])
    if group is None or path[1] not in group.model_fields:
        return None, {}
    return group.model_fields[path[1]], group.model_json_schema()["properties"][path[1]]


def _groups() -> dict[str, type[BaseModel]]:
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _group(name: str) -> type[BaseModel] | None:
    return _groups().get(name)


def _nearest(path: tuple[str, ...]) -> str:
    known = [variable_of((name,)) for name in Settings.model_fields if name not in _groups()]
    known += [variable_of((name, field)) for name, group in _groups().items() for field in group.model_fields]
    near = difflib.get_close_matches(variable_of(path), known, n=1)
    return f" Did you mean {near[0]}?" if near else " docs/reference/settings.md lists them."


def _bounds(schema: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    if "minimum" in schema:
        words += ["from", f"{schema['minimum']:g}"]
    elif "exclusiveMinimum" in schema:
        words += ["above", f"{schema['exclusiveMinimum']:g}"]
    if "maximum" in schema:
        words += ["to" if "minimum" in schema else "up to", f"{schema['maximum']:.10g}"]
    return words


def _alternatives(values: list[str]) -> str:
    return " or ".join([", ".join(values[:-1]), values[-1]]) if len(values) > 1 else values[0]
