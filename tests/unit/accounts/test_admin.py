"""Administrators."""

from __future__ import annotations

from tests.unit.accounts.world import ADA, HOME, PASSWORD, World
from zentry.accounts.admin import Administrator, create_admin
from zentry.accounts.identity import parse_email
from zentry.platform.caller import Role


async def make_admin(world: World, email: str) -> Administrator:
    hashed = await world.hasher.hash("the password of the operator")
    async with world.database.work() as tx:
        return await create_admin(tx, email=parse_email(email), name="Root", hashed_password=hashed)


async def test_a_new_administrator_can_log_in(world: World) -> None:
    made = await make_admin(world, "root@example.com")

    issued = await world.auth.login(email="root@example.com", password="the password of the operator", client=HOME)

    assert made.is_new
    assert (issued.user.id, issued.user.role) == (made.user_id, Role.ADMIN)


async def test_an_existing_account_is_promoted_and_keeps_its_password(world: World) -> None:
    ada = await world.auth.signup(**ADA, client=HOME)

    made = await make_admin(world, "ADA@example.com")
    issued = await world.auth.login(email=ADA["email"], password=PASSWORD, client=HOME)

    assert made == Administrator(ada.user.id, is_new=False)
    assert (issued.user.role, issued.user.name) == (Role.ADMIN, ADA["name"])
