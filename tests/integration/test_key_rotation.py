"""Sealed texts move to a new key, whatever interrupts the move, and an old key is retired when nothing needs it."""

from __future__ import annotations

from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.platform.sealing import Sealer, Unreadable
from zentry.resealing import count_by_key, reseal, sealed_columns
from zentry.schema.metadata import SEALED_FOR, metadata
from zentry.schema.vms import templates, vm_user_data

SCRIPT = "#cloud-config\nruncmd: [echo ahoy]\n"
OLD, NEW, LOST = "k" * 64, "n" * 64, "lost" * 16
# Columns of bytes that hold nothing to hide.
PLAIN = {"rate_limits.recent"}


async def _given_texts(platform: PlatformUnderTest) -> tuple[Account, str]:
    account = await platform.signup()
    for number in range(5):
        wish = {"name": f"t{number}", "instance_type": "small", "image": "debian-12", "user_data": f"{SCRIPT}{number}"}
        assert (await platform.client.post("/templates", json=wish, headers=account.headers)).status_code == 201
    vm = await platform.given_vm(account, user_data=SCRIPT)
    return account, vm["id"]


async def _texts(platform: PlatformUnderTest, sealer: Sealer, account: Account) -> list[str]:
    query = sa.select(templates.c.user_data).order_by(templates.c.name)
    async with platform.database.read() as tx:
        return [sealer.unseal(one, owner=UUID(account.id)) for one in (await tx.execute(query)).scalars()]


async def test_texts_move_to_the_newest_key_and_the_old_one_is_needed_no_longer(platform: PlatformUnderTest) -> None:
    account, vm_id = await _given_texts(platform)
    old, ring, new = Sealer(OLD), Sealer(NEW, OLD), Sealer(NEW)
    before = await count_by_key(platform.database)

    first = await reseal(platform.database, ring, batch=2)
    again = await reseal(platform.database, ring, batch=2)

    assert before == {old.key_ids[0]: 6}
    assert (first.sealed, first.unreadable) == (6, [])
    assert (again.sealed, again.unreadable) == (0, [])
    assert await count_by_key(platform.database) == {new.key_ids[0]: 6}
    assert await _texts(platform, new, account) == [f"{SCRIPT}{number}" for number in range(5)]
    async with platform.database.read() as tx:
        query = sa.select(vm_user_data.c.sealed).where(vm_user_data.c.vm_id == UUID(vm_id))
        assert new.unseal((await tx.execute(query)).scalar_one(), owner=UUID(account.id)) == SCRIPT


async def test_a_rotation_that_dies_is_run_again_and_what_cannot_be_opened_is_named(
    platform: PlatformUnderTest,
) -> None:
    account, _ = await _given_texts(platform)
    async with platform.database.work() as tx:
        lost = Sealer(LOST).seal(SCRIPT, owner=UUID(account.id))
        await tx.execute(sa.update(templates).where(templates.c.name == "t3").values(user_data=lost))
        # As if it had died here: one is done, the others are not.
        done = Sealer(NEW).seal(SCRIPT + "0", owner=UUID(account.id))
        await tx.execute(sa.update(templates).where(templates.c.name == "t0").values(user_data=done))

    report = await reseal(platform.database, Sealer(NEW, OLD), batch=1)

    assert report.sealed == 4
    assert len(report.unreadable) == 1
    assert report.unreadable[0].startswith("templates ")
    assert Sealer(LOST).key_ids[0] in report.unreadable[0]
    assert SCRIPT not in report.unreadable[0]
    with pytest.raises(Unreadable):
        await _texts(platform, Sealer(NEW, OLD), account)


def test_every_column_of_bytes_says_whose_it_is_or_is_known_to_be_plain() -> None:
    of_bytes = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    sealed = {f"{one.table.name}.{one.column.name}" for one in sealed_columns()}

    assert of_bytes == sealed | PLAIN, f"give it info=sealed_for(…) ({SEALED_FOR}), or name it in PLAIN"
