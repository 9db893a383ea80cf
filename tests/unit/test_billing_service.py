"""The rules of money, asked of the service itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.support.platform import Account, PlatformUnderTest
from zentry.billing.errors import AlreadyHeld, InsufficientCredits
from zentry.billing.reports import BillingReports
from zentry.billing.service import BillingService
from zentry.billing.types import Balance, Resource
from zentry.invariants import broken_invariants
from zentry.platform.db import Transaction
from zentry.schema.accounts import users
from zentry.schema.billing import ledger_entries, segments


def _billing(platform: PlatformUnderTest, tx: Transaction) -> BillingService:
    return BillingService(tx, platform.settings.billing)


def _resource(tx: Transaction, account: Account, *, type_: str = "small") -> Resource:
    return Resource(tx.new_id(), UUID(account.id), tx.new_id(), "thing", type_)


async def _balance(platform: PlatformUnderTest, account: Account) -> Balance:
    async with platform.database.read() as tx:
        return (await BillingReports(tx, UUID(account.id)).balance())[0]


async def _run(platform: PlatformUnderTest, account: Account, *, type_: str = "small") -> Resource:
    async with platform.database.work() as tx:
        billing = _billing(platform, tx)
        resource = _resource(tx, account, type_=type_)
        prices = await billing.get_price_list()
        await billing.hold(resource, prices=prices, with_fee=False)
        await billing.start_metering(resource, prices=prices, with_fee=False)
        return resource


async def _stop(platform: PlatformUnderTest, resource: Resource) -> None:
    async with platform.database.work() as tx:
        await _billing(platform, tx).stop_metering(resource.id, resource.user_id)


async def _nobody(tx: Transaction, resource_ids: list[UUID]) -> None:
    del tx
    raise AssertionError(f"nothing should be stopped, but {resource_ids} would be")


async def test_a_window_is_held_and_only_the_seconds_used_are_captured(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    resource = await _run(platform, account)
    held = await _balance(platform, account)
    platform.clock.advance(timedelta(seconds=601))
    await _stop(platform, resource)
    after = await _balance(platform, account)

    assert held == Balance(credits=50_000_000, held=50_000, total_spent=0)
    assert after == Balance(credits=50_000_000 - 8347, held=0, total_spent=8347)  # floor(50000 × 601 / 3600)


async def test_stopping_twice_charges_once(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    resource = await _run(platform, account)
    platform.clock.advance(timedelta(minutes=30))

    await _stop(platform, resource)
    await _stop(platform, resource)

    assert (await _balance(platform, account)).total_spent == 25_000


async def test_a_hold_that_never_became_use_is_released_whole(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    async with platform.database.work() as tx:
        resource = _resource(tx, account)
        billing = _billing(platform, tx)
        await billing.hold(resource, prices=await billing.get_price_list(), with_fee=True)

    await _stop(platform, resource)

    assert await _balance(platform, account) == Balance(50_000_000, 0, 0)


async def test_a_resource_that_is_held_already_is_refused_and_nothing_is_held_twice(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    resource = await _run(platform, account)
    before = await _balance(platform, account)

    async def hold_again() -> None:
        async with platform.database.work() as tx:
            billing = _billing(platform, tx)
            await billing.hold(resource, prices=await billing.get_price_list(), with_fee=False)

    with pytest.raises(AlreadyHeld):
        await hold_again()

    assert await _balance(platform, account) == before


async def test_a_refused_hold_leaves_nothing_behind(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    async def deduct_and_hold() -> None:
        async with platform.database.work() as tx:
            billing = _billing(platform, tx)
            await billing.deduct_credits(UUID(account.id), 49_960_000, description="test")
            await billing.hold(_resource(tx, account), prices=await billing.get_price_list(), with_fee=False)

    with pytest.raises(InsufficientCredits) as refused:
        await deduct_and_hold()

    assert refused.value.details == {"required": 0.05, "available": 0.04}
    assert await _balance(platform, account) == Balance(50_000_000, 0, 0)


async def test_renewal_takes_the_longest_running_first_and_stops_what_cannot_be_paid(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    async with platform.database.work() as tx:
        await _billing(platform, tx).deduct_credits(UUID(account.id), 49_830_000, description="leave 0.17")
    old = await _run(platform, account)
    platform.clock.advance(timedelta(seconds=10))
    young = await _run(platform, account)
    stopped: list[UUID] = []

    async def stop(tx: Transaction, resource_ids: list[UUID]) -> None:
        stopped.extend(resource_ids)
        for resource_id in resource_ids:
            await _billing(platform, tx).stop_metering(resource_id, UUID(account.id))

    for _ in range(90):
        platform.clock.advance(timedelta(minutes=1))
        async with platform.database.work() as tx:
            await _billing(platform, tx).renew(UUID(account.id), on_exhausted=stop)
        balance = await _balance(platform, account)
        assert 0 <= balance.held <= balance.credits

    # 0.07 beyond the two windows: a whole further hour for the old one, 24 minutes for the young one.
    assert stopped == [young.id]
    async with platform.database.read() as tx:
        [running] = (await tx.execute(sa.select(segments.c.resource_id).where(segments.c.ended_at.is_(None)))).scalars()
    assert running == old.id


async def test_an_hour_in_sixty_pieces_costs_what_an_hour_costs(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    resource = await _run(platform, account, type_="xlarge")

    for _ in range(60):
        platform.clock.advance(timedelta(seconds=59))
        async with platform.database.work() as tx:
            await _billing(platform, tx).renew(UUID(account.id), on_exhausted=_nobody)
        platform.clock.advance(timedelta(seconds=1))
    await _stop(platform, resource)

    assert (await _balance(platform, account)).total_spent == 400_000


async def test_a_new_segment_names_its_predecessor_and_cannot_start_before_its_end(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    resource = await _run(platform, account)
    platform.clock.advance(timedelta(minutes=1))
    await _stop(platform, resource)
    async with platform.database.work() as tx:
        billing = _billing(platform, tx)
        prices = await billing.get_price_list()
        await billing.hold(resource, prices=prices, with_fee=False)
        await billing.start_metering(resource, prices=prices, with_fee=False)

    async with platform.database.read() as tx:
        first, second = (await tx.execute(sa.select(segments).order_by(segments.c.predecessor_id.is_not(None)))).all()
    early = first.ended_at - timedelta(seconds=30)
    change = {"started_at": early, "charged_until": early, "paid_until": early}
    with pytest.raises(DBAPIError, match="no_overlap"):
        async with platform.database.work() as tx:
            await tx.execute(sa.update(segments).where(segments.c.id == second.id).values(**change))

    assert (second.predecessor_id, second.predecessor_ended_at) == (first.id, first.ended_at)
    await _stop(platform, resource)


async def test_what_starts_and_stops_many_times_within_a_second_is_one_chain(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    resource = await _run(platform, account)
    for _ in range(12):
        await _stop(platform, resource)
        async with platform.database.work() as tx:
            billing = _billing(platform, tx)
            prices = await billing.get_price_list()
            await billing.hold(resource, prices=prices, with_fee=False)
            await billing.start_metering(resource, prices=prices, with_fee=False)
    platform.clock.advance(timedelta(minutes=6))
    await _stop(platform, resource)

    async with platform.database.read() as tx:
        firsts = (await tx.execute(sa.select(segments.c.id).where(segments.c.predecessor_id.is_(None)))).all()
        count = (await tx.execute(sa.select(sa.func.count()).select_from(segments))).scalar_one()
    assert (len(firsts), count) == (1, 13)
    assert (await _balance(platform, account)).total_spent == 5_000


async def test_parallel_deductions_never_take_more_than_there_is(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    async def deduct() -> bool:
        try:
            async with platform.database.work() as tx:
                await _billing(platform, tx).deduct_credits(UUID(account.id), 4_000_000, description="race")
        except InsufficientCredits:
            return False
        return True

    taken = await asyncio.gather(*(deduct() for _ in range(30)))

    assert sum(taken) == 12
    assert await _balance(platform, account) == Balance(2_000_000, 0, 0)


async def test_the_same_cause_posts_once(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    with pytest.raises(DBAPIError, match="cause"):
        async with platform.database.work() as tx:
            await _billing(platform, tx).grant_welcome(UUID(account.id))

    assert (await _balance(platform, account)).credits == 50_000_000


async def test_the_database_refuses_a_balance_below_zero_and_a_changed_entry(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    with pytest.raises(DBAPIError, match="never_overspent"):
        async with platform.database.work() as tx:
            await tx.execute(sa.update(users).where(users.c.id == UUID(account.id)).values(held=50_000_001))
    with pytest.raises(DBAPIError):
        async with platform.database.work() as tx:
            await tx.execute(sa.update(ledger_entries).values(amount=1))
    with pytest.raises(DBAPIError):
        async with platform.database.work() as tx:
            await tx.execute(sa.delete(ledger_entries))

    assert await broken_invariants(platform.database) == []


async def test_the_invariants_notice_a_wrong_balance(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    async with platform.database.work() as tx:
        await tx.execute(sa.update(users).where(users.c.id == UUID(account.id)).values(credits=50_000_001))

    broken = await broken_invariants(platform.database)

    async with platform.database.work() as tx:
        await tx.execute(sa.update(users).where(users.c.id == UUID(account.id)).values(credits=50_000_000))
    assert any(sentence.startswith("credits of") for sentence in broken)


async def test_a_cost_is_calculated_from_the_price_list(platform: PlatformUnderTest) -> None:
    async with platform.database.read() as tx:
        cost = await _billing(platform, tx).calculate_vm_cost("medium", hours=2.5)

    assert cost == 250_000
