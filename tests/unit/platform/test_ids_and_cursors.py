"""Ids sort by time and repeat with the seed; cursors come back as they went or are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentry.platform.errors import InvalidInput
from zentry.platform.ids import new_id, parse_id
from zentry.platform.pagination import decode_cursor, encode_cursor

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_7_and_later_ids_sort_later() -> None:
    random = Random(1)

    ids = [new_id(NOW + timedelta(milliseconds=step), random) for step in range(100)]

    assert {id_.version for id_ in ids} == {7}
    assert {id_.variant for id_ in ids} == {"specified in RFC 4122"}
    assert sorted(ids) == ids


def test_the_same_seed_and_time_give_the_same_ids() -> None:
    assert new_id(NOW, Random(5)) == new_id(NOW, Random(5))
    assert new_id(NOW, Random(5)) != new_id(NOW, Random(6))


@pytest.mark.parametrize(
    "text", ["", "1", "{01890a5d-ac96-774b-bcce-b302099a8057}", "01890a5dac96774bbcceb302099a8057", "x" * 36, "é" * 36]
)
def test_another_form_of_an_id_names_nothing(text: str) -> None:
    assert parse_id(text) is None


@given(
    st.integers(min_value=0, max_value=9),
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy adds the zone
    st.uuids(),
)
def test_a_cursor_comes_back_as_it_went(rank: int, at: datetime, id_: UUID) -> None:
    assert decode_cursor(encode_cursor(rank, at, id_)) == (rank, at, id_)


@given(st.text(max_size=300))
def test_any_other_text_is_refused_as_a_cursor(text: str) -> None:
    with pytest.raises(InvalidInput):
        decode_cursor(text)
