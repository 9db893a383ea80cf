"""Text at rest: read by this installation, for its owner, and by nobody else."""

from __future__ import annotations

from uuid import UUID

import pytest

from zentry.platform.sealing import Sealer, Unreadable, key_id_of

OWNER = UUID(int=7)
TEXT = "#cloud-config\npassword: grün ✓\n"


def test_what_is_sealed_is_read_again_and_does_not_show_the_text() -> None:
    sealed = Sealer("k" * 64).seal(TEXT, owner=OWNER)

    assert Sealer("k" * 64).unseal(sealed, owner=OWNER) == TEXT
    assert b"cloud" not in sealed
    assert b"password" not in sealed


def test_the_same_text_is_sealed_differently_each_time() -> None:
    sealer = Sealer("k" * 64)

    assert sealer.seal(TEXT, owner=OWNER) != sealer.seal(TEXT, owner=OWNER)


def test_another_key_another_owner_and_damage_are_told() -> None:
    sealer = Sealer("k" * 64)
    sealed = sealer.seal(TEXT, owner=OWNER)
    damaged = [sealed[:-1], sealed[:4], b"", sealed[:-1] + bytes([sealed[-1] ^ 1])]

    with pytest.raises(Unreadable, match="another key"):
        Sealer("l" * 64).unseal(sealed, owner=OWNER)
    with pytest.raises(Unreadable, match="another account"):
        sealer.unseal(sealed, owner=UUID(int=8))
    for one in damaged:
        with pytest.raises(Unreadable):
            sealer.unseal(one, owner=OWNER)


def test_a_new_key_seals_and_the_earlier_ones_still_open() -> None:
    before, after = Sealer("old" * 20), Sealer("new" * 20, "old" * 20)

    old, new = before.seal(TEXT, owner=OWNER), after.seal(TEXT, owner=OWNER)

    assert after.unseal(old, owner=OWNER) == after.unseal(new, owner=OWNER) == TEXT
    assert not old.startswith(after.head)
    assert new.startswith(after.head)
    assert after.key_ids == (key_id_of(new), key_id_of(old))
    with pytest.raises(Unreadable, match=key_id_of(new)):
        before.unseal(new, owner=OWNER)
