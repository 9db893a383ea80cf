"""The cheap look at a JSON body agrees with a parser."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentry.api.middleware.guard import check_json
from zentry.api.middleware.paths import canonical_path
from zentry.platform.codings import accepted_coding
from zentry.platform.errors import InvalidInput

LEAVES = st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{}",\\a\u2603', max_size=8)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(VALUES, st.booleans(), st.integers(1, 6))
def test_the_depth_is_that_of_the_parsed_value(value: Any, ascii_only: bool, limit: int) -> None:
    try:
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return

    try:
        check_json(body, max_depth=limit)
        passed = True
    except InvalidInput as refusal:
        passed = "nested" not in refusal.message

    assert passed == (depth_of(value) <= limit)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_look(body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        check_json(body, max_depth=2)


@pytest.mark.parametrize(
    "body",
    [
        b'"\\' * 500_000,
        b'\\"' * 500_000,
        b'"' * 1_000_000,
        b"[" * 1_000_000,
        b"[]" * 500_000,
        b"{[" * 500_000,
        b"]" * 1_000_000,
        b'["' + b"\\\\" * 500_000 + b"u0000" + b"[" * 40,
        b'"\\u' * 300_000,
    ],
)
def test_a_hostile_body_is_looked_at_in_linear_time(body: bytes) -> None:
    started = time.perf_counter()

    with contextlib.suppress(InvalidInput):  # What has neither depth nor members is left to the parser.
        check_json(body + b"[" * 64 + b"," * 6000, max_depth=32)

    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("/v1", "/"),
        ("/v1/", "/"),
        ("/vms", "/vms"),
        ("/vms/", "/vms"),
        ("/v1/vms/", "/vms"),
        ("/v1/v1/vms", "/v1/vms"),
        ("/v10/vms", "/v10/vms"),
        ("/v1vms", "/v1vms"),
        ("//", "//"),
        ("/vms//", "/vms//"),
    ],
)
def test_a_path_has_one_canonical_spelling(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (b"gzip", "gzip"),
        (b"gzip, deflate, br, zstd", "zstd"),
        (b"ZSTD;q=0.1", "zstd"),
        (b"zstd;q=0, gzip;q=0.0", None),
        (b"identity", None),
        (b"", None),
        (b"gzip;q=1.0", "gzip"),
        (b"\xff", None),
        (b"gzip," * 1000, None),
    ],
)
def test_the_best_accepted_coding_is_chosen(header: bytes, coding: str | None) -> None:
    assert accepted_coding(header) == coding
