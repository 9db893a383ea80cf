"""The books can be checked by anyone who has them, and a changed byte is found where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.billing.audit import audit_ledger
from zentry.invariants import broken_invariants
from zentry.platform.db import Transaction
from zentry.schema.accounts import users
from zentry.schema.billing import billing_records, ledger_entries

Tamper = Callable[[Transaction, UUID], Awaitable[None]]
_TABLES = ("ledger_entries", "billing_records")


async def _given_books(platform: PlatformUnderTest) -> Account:
    """Make an account whose books have a dozen entries."""
    account = await platform.signup()
    vm = await platform.given_vm(account)
    for _ in range(3):
        await platform.advance(hours=1)
    await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    await platform.settle()
    return account


async def _without_guard(tx: Transaction) -> None:
    """Take the triggers away, as whoever owns the database can."""
    for table in _TABLES:
        if tx.dialect == "postgresql":
            await tx.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        else:
            await tx.execute(sa.text(f"DROP TRIGGER {table}_no_update"))
            await tx.execute(sa.text(f"DROP TRIGGER {table}_no_delete"))


def _entry(user_id: UUID, position: int) -> tuple[Any, Any]:
    return ledger_entries.c.user_id == user_id, ledger_entries.c.position == position


async def _amount(tx: Transaction, user_id: UUID) -> None:
    await tx.execute(sa.update(ledger_entries).where(*_entry(user_id, 4)).values(amount=ledger_entries.c.amount + 1))


async def _cause(tx: Transaction, user_id: UUID) -> None:
    await tx.execute(sa.update(ledger_entries).where(*_entry(user_id, 4)).values(cause="something else"))


async def _hash(tx: Transaction, user_id: UUID) -> None:
    await tx.execute(sa.update(ledger_entries).where(*_entry(user_id, 4)).values(hash="0" * 64))


async def _gone(tx: Transaction, user_id: UUID) -> None:
    await tx.execute(sa.delete(ledger_entries).where(*_entry(user_id, 4)))


async def _cut(tx: Transaction, user_id: UUID) -> None:
    last = sa.select(sa.func.max(ledger_entries.c.position)).where(ledger_entries.c.user_id == user_id)
    await tx.execute(
        sa.delete(ledger_entries).where(
            ledger_entries.c.user_id == user_id, ledger_entries.c.position == last.scalar_subquery()
        )
    )


async def _line(tx: Transaction, user_id: UUID) -> None:
    line = sa.select(ledger_entries.c.record_id).where(*_entry(user_id, 3)).scalar_subquery()
    await tx.execute(sa.update(billing_records).where(billing_records.c.id == line).values(amount=-1))


async def _balance(tx: Transaction, user_id: UUID) -> None:
    await tx.execute(sa.update(users).where(users.c.id == user_id).values(credits=users.c.credits + 5))


async def test_untouched_books_are_in_order(platform: PlatformUnderTest) -> None:
    account = await _given_books(platform)
    await platform.signup()

    everybody = await audit_ledger(platform.database)
    one = await audit_ledger(platform.database, user_id=UUID(account.id))

    assert (everybody.accounts, everybody.findings) == (2, [])
    assert (one.accounts, one.findings) == (1, [])
    assert everybody.entries > one.entries > 8


@pytest.mark.parametrize(
    ("tamper", "position", "says"),
    [
        (_amount, 4, "content or its hash was changed"),
        (_cause, 4, "content or its hash was changed"),
        (_hash, 4, "content or its hash was changed"),
        (_gone, 5, "before it 4 is missing"),
        (_cut, None, "the books end with entry"),
        (_line, 3, "its line of the bill says -1"),
        (_balance, None, "the balance is"),
    ],
)
async def test_what_was_changed_is_found_where_it_is(
    database_url: str, tmp_path: Path, tamper: Tamper, position: int | None, says: str
) -> None:
    settings = settings_for_tests(tmp_path, database={"url": database_url})
    async with open_under_test(settings) as platform:  # Not the fixture: it would find the books in disorder.
        account = await _given_books(platform)
        async with platform.database.work() as tx:
            await _without_guard(tx)
            await tamper(tx, UUID(account.id))

        audit = await audit_ledger(platform.database)

    first = audit.findings[0]
    assert (first.user_id, first.position) == (UUID(account.id), position)
    assert says in first.what
    assert {finding.user_id for finding in audit.findings} == {UUID(account.id)}


async def test_administrators_see_what_does_not_hold(platform: PlatformUnderTest) -> None:
    account, admin = await _given_books(platform), await platform.given_admin()
    right = (await platform.client.get("/admin/invariants", headers=admin.headers)).json()
    async with platform.database.work() as tx:
        await _balance(tx, UUID(account.id))

    wrong = (await platform.client.get("/admin/invariants", headers=admin.headers)).json()

    assert right["violations"] == []
    assert right["ledger_entries"] > 8
    assert any(f"credits of {account.id}" in sentence for sentence in wrong["violations"])
    async with platform.database.work() as tx:  # So that the fixture finds the books in order.
        await tx.execute(sa.update(users).where(users.c.id == UUID(account.id)).values(credits=users.c.credits - 5))


async def _change(platform: PlatformUnderTest, admin: Account, account: Account, **body: Any) -> dict[str, Any]:
    wish = {"kind": "adjustment", "reason": "Because.", **body}
    answer = await platform.client.post(f"/admin/users/{account.id}/credits", json=wish, headers=admin.headers)
    return {"status_code": answer.status_code, **answer.json()}


async def test_an_administrator_grants_and_adjusts_with_a_reason(platform: PlatformUnderTest) -> None:
    admin, account = await platform.given_admin(), await platform.signup()

    await platform.advance(seconds=1)  # What is of one millisecond has no order.
    granted = await _change(platform, admin, account, kind="grant", amount=12.5, reason="Spring course")
    await platform.advance(seconds=1)
    taken = await _change(platform, admin, account, kind="deduction", amount=60, reason="Paid twice")
    too_much = await _change(platform, admin, account, kind="deduction", amount=3)

    history = await platform.history(account)
    assert (granted["status_code"], granted["amount"], granted["balance"]) == (201, 12.5, 62.5)
    assert (taken["status_code"], taken["amount"], taken["balance"]) == (201, -60, 2.5)
    assert (too_much["status_code"], too_much["error_code"]) == (400, "INSUFFICIENT_CREDITS")
    assert too_much["details"] == {"required": 3.0, "available": 2.5}
    assert [(line["description"], line["amount"]) for line in history[:2]] == [
        ("Paid twice", -60),
        ("Spring course", 12.5),
    ]
    assert await broken_invariants(platform.database) == []


async def test_nobody_unknown_is_given_credits_and_nobody_gives_himself_some(platform: PlatformUnderTest) -> None:
    admin, account = await platform.given_admin(), await platform.signup()

    unknown = await _change(platform, admin, Account("42", "", {}, {}), amount=1)
    nobody = await _change(platform, admin, Account(str(UUID(int=9)), "", {}, {}), amount=1)
    himself = await platform.client.post(
        f"/admin/users/{account.id}/credits",
        json={"kind": "grant", "amount": 1, "reason": "please"},
        headers=account.headers,
    )

    assert [unknown["status_code"], nobody["status_code"], himself.status_code] == [404, 404, 403]


async def test_a_repeated_correction_has_one_entry(platform: PlatformUnderTest) -> None:
    admin, account = await platform.given_admin(), await platform.signup()
    body = {"kind": "deduction", "amount": 7, "reason": "Paid twice"}

    answers = await asyncio.gather(
        *(
            platform.client.post(
                f"/admin/users/{account.id}/credits", json=body, headers={**admin.headers, "Idempotency-Key": "once"}
            )
            for _ in range(8)
        )
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["record_id"] for answer in answers}) == 1
    assert (await platform.credits(account))["current_credits"] == 43
