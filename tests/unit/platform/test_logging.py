"""What the log lets out, and in which form."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from zentry.platform.logging import MAX_FIELD, REDACTED, configure_logging
from zentry.platform.settings import LogSettings


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging(LogSettings(level="info", format="json"), stream=stream)
    yield stream
    configure_logging(LogSettings(level="error", format="json"), stream=io.StringIO())
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def only_line(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_an_event_is_one_line_of_json_with_its_context(stream: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(request_id="request-1")

    structlog.get_logger("any").info("vm.stopped", vm_id="7", took_ms=1.5)

    line = only_line(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "vm.stopped", "level": "info", "request_id": "request-1", "vm_id": "7", "took_ms": 1.5}


def test_less_than_the_level_is_not_written(stream: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    logging.getLogger("library").debug("detail")

    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "new_password",
        "token",
        "access_token",
        "refresh_token",
        "Authorization",
        "client_secret",
        "Set-Cookie",
        "api_key",
    ],
)
def test_a_secret_is_known_by_its_name_at_any_depth(stream: io.StringIO, key: str) -> None:
    structlog.get_logger().info("event", **{key: "hunter2"}, nested={"headers": [{key: "hunter2"}]})

    assert "hunter2" not in stream.getvalue()
    assert only_line(stream)[key] == REDACTED


@pytest.mark.parametrize(
    "text",
    [
        "GET /auth/refresh?refresh_token=hunter2&x=1",
        "Authorization: Bearer hunter2",
        "bearer   hunter2",
        "access_token=hunter2",
        "password=hunter2",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2",
    ],
)
def test_a_secret_is_known_by_its_form(stream: io.StringIO, text: str) -> None:
    structlog.get_logger().info("event", text=text, deep=[{"url": text}])

    assert "hunter2" not in stream.getvalue()
    assert REDACTED in only_line(stream)["text"]


def test_a_setting_that_only_sounds_secret_stays_readable(stream: io.StringIO) -> None:
    structlog.get_logger().info("event", token_cache_seconds=1, password_min_length=8)

    assert only_line(stream)["password_min_length"] == 8


def test_long_fields_are_capped(stream: io.StringIO) -> None:
    structlog.get_logger().info("event", body="a" * 1_000_000, many=list(range(10_000)))

    line = only_line(stream)
    assert len(line["body"]) < MAX_FIELD + 100
    assert len(line["many"]) == 50


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_value_starts_a_second_line(log_format: str) -> None:
    stream = io.StringIO()
    configure_logging(LogSettings(level="info", format=log_format), stream=stream)

    structlog.get_logger().info("event", name="x\nforged\r\x1b[31m\u2028")
    logging.getLogger("library").warning("got %s", "x\nforged\x1b[31m")

    structlog.reset_defaults()
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b[31m" not in stream.getvalue()


def test_what_libraries_log_takes_the_same_form(stream: io.StringIO) -> None:
    logging.getLogger("library").warning("refresh_token=%s", "hunter2")

    line = only_line(stream)
    assert line["event"] == f"refresh_token={REDACTED}"
    assert line["logger"] == "library"
    assert line["level"] == "warning"


def test_a_traceback_is_one_field(stream: io.StringIO) -> None:
    try:
        int("token=hunter2")
    except ValueError:
        structlog.get_logger().exception("job.failed")

    line = only_line(stream)
    assert "Traceback" in line["exception"]
    assert "hunter2" not in line["exception"]


@pytest.mark.parametrize("value", ["\ud800", 1 << 80, {1: 2}, b"\xff", object(), float("nan"), {"a", "b"}])
def test_anything_can_be_logged(stream: io.StringIO, value: object) -> None:
    structlog.get_logger().info("event", value=value)

    assert only_line(stream)["event"] == "event"


def test_setting_up_twice_writes_each_line_once() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging(LogSettings(format="json"), stream=first)
    configure_logging(LogSettings(format="json"), stream=second)

    logging.getLogger("library").warning("once")

    structlog.reset_defaults()
    assert first.getvalue() == ""
    assert only_line(second)["event"] == "once"
