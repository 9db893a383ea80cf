"""The audit log: every sensitive act is in it, it cannot be changed unnoticed, and others can check it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import pytest
import sqlalchemy as sa

from tests.support.platform import PASSWORD, Account, PlatformUnderTest, open_under_test, settings_for_tests
from zentry.accounts.admin import create_admin
from zentry.accounts.identity import parse_email
from zentry.events.audit import ExportUnreadable, audit_export, audit_log, export_log
from zentry.platform.db import Database
from zentry.schema.events import event_details, event_log, events

# What must leave a trace, by the kind of its event.
SENSITIVE: Final[Mapping[str, str]] = {
    "account.signed_up": "an account is made",
    "account.login_refused": "a password is wrong",
    "account.profile_updated": "a name is changed",
    "account.promoted": "an administrator is made",
    "project.created": "a project is made",
    "project.updated": "a project is changed",
    "project.deleted": "a project is removed",
    "vm.create_requested": "a machine is asked for",
    "vm.stop_requested": "a machine is stopped",
    "vm.delete_requested": "a machine is removed",
    "ssh_key.added": "a key is added that opens machines",
    "ssh_key.deleted": "a key is removed",
    "template.added": "a template is added",
    "credit.added": "credit is added",
}
# Those that nobody has proved to be: the one by a stranger, and the one from the command line.
WITHOUT_ACTOR: Final = {"account.login_refused", "account.promoted"}
SSH_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7n4Qf1rQ0Y8mE0m0m5xk5tJ3d3m3mS3v0v0v0v0v0v ada"
GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "operating.md"


async def _act(platform: PlatformUnderTest) -> Account:
    """Do everything that is sensitive once."""
    account = await platform.signup("ada@example.com")

    async def ask(method: str, path: str, body: object = None) -> Any:
        answer = await platform.client.request(method, path, json=body, headers=account.headers)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json()

    await platform.client.post("/auth/login", json={"email": account.email, "password": f"{PASSWORD}x"})
    await ask("PUT", "/auth/profile", {"name": "Ada King"})
    async with platform.database.work() as tx:
        await create_admin(tx, email=parse_email(account.email), name="Ada", hashed_password="", on_signup=())
    project = await ask("POST", "/projects", {"name": "lab"})
    await ask("PUT", f"/projects/{project['id']}", {"description": "ours"})
    vm = await platform.given_vm(account, project_id=project["id"])
    await ask("POST", f"/vms/{vm['id']}/stop")
    await platform.settle()
    await ask("DELETE", f"/vms/{vm['id']}")
    await platform.settle()
    key = await ask("POST", "/ssh-keys", {"name": "laptop", "public_key": SSH_KEY})
    await ask("DELETE", f"/ssh-keys/{key['id']}")
    await ask("POST", "/templates", {"name": "t", "instance_type": "small", "image": "debian-12"})
    await ask("POST", "/billing/credits/add", {"amount": 5})
    await ask("DELETE", f"/projects/{project['id']}")
    await platform.advance(seconds=2)  # What was verified of the caller is trusted for a second.
    await platform.inner.sequencer.tick()
    return account


async def test_every_sensitive_act_is_recorded(platform: PlatformUnderTest) -> None:
    account = await _act(platform)

    found = (await platform.client.get("/admin/audit?limit=500", headers=account.headers)).json()["entries"]
    own = (await platform.client.get("/health/audit?limit=1000", headers=account.headers)).json()

    by_kind = {entry["kind"]: entry for entry in reversed(found)}  # The newest of each kind.
    assert set(SENSITIVE) - set(by_kind) == set()
    assert set(SENSITIVE) - {entry["action"] for entry in own} == set()
    for kind in SENSITIVE:
        entry = by_kind[kind]
        assert entry["user_id"] == account.id
        assert entry["actor_id"] == (None if kind in WITHOUT_ACTOR else account.id), kind
        assert entry["resource_id"]
        if kind != "account.promoted":
            assert entry["address"] == "127.0.0.1", kind
            assert entry["agent"].startswith("python-httpx"), kind
            assert entry["request_id"], kind
        if kind not in {"account.signed_up", "account.login_refused", "account.promoted"}:
            assert entry["session_id"], kind
    assert PASSWORD not in str(found)
    assert SSH_KEY not in str(found)


async def test_administrators_look_through_everybodys_log_page_by_page(platform: PlatformUnderTest) -> None:
    admin, other = await platform.given_admin(), await platform.signup()
    await platform.given_project(other)
    await platform.inner.sequencer.tick()

    refused = await platform.client.get("/admin/audit", headers=other.headers)
    pages, cursor = [], ""
    while True:
        answer = await platform.client.get(f"/admin/audit?limit=2{cursor}", headers=admin.headers)
        pages.append(answer.json()["entries"])
        if answer.json()["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.json()['next_cursor']}"
    one = await platform.client.get(f"/admin/audit?user_id={other.id}", headers=admin.headers)
    none = await platform.client.get("/admin/audit?user_id=nobody", headers=admin.headers)

    positions = [entry["position"] for page in pages for entry in page]
    assert refused.status_code == 403
    assert positions == sorted(positions, reverse=True)
    assert positions[-1] == 1
    assert {entry["user_id"] for entry in one.json()["entries"]} == {other.id}
    assert none.json() == {"entries": [], "next_cursor": None}


async def test_a_changed_event_is_located(platform: PlatformUnderTest) -> None:
    await platform.given_vm(await platform.signup())
    await platform.inner.sequencer.tick()
    whole = await audit_log(platform.database)
    async with platform.database.read() as tx:
        third = (await tx.execute(sa.select(event_log.c.event_id).where(event_log.c.position == 3))).scalar_one()
        fact = (await tx.execute(sa.select(events.c.data).where(events.c.id == third))).scalar_one()

    async with platform.database.work() as tx:
        await _guards(tx.execute, platform.database, on=False)
        await tx.execute(sa.update(events).where(events.c.id == third).values(data={**fact, "forged": True}))
        await _guards(tx.execute, platform.database, on=True)
    changed = await audit_log(platform.database)
    async with platform.database.work() as tx:
        await _guards(tx.execute, platform.database, on=False)
        await tx.execute(sa.update(events).where(events.c.id == third).values(data=fact))
        await _guards(tx.execute, platform.database, on=True)

    assert whole.findings == []
    assert whole.entries == whole.position > 3
    assert len(changed.findings) == 1
    assert changed.findings[0].startswith(f"position 3: event {third} ")
    assert (await audit_log(platform.database)).findings == []


async def test_the_log_is_exported_and_verified_elsewhere(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    await platform.given_vm(account)
    await platform.inner.sequencer.tick()
    async with platform.database.work() as tx:
        await tx.execute(sa.delete(event_details).where(event_details.c.actor_id == UUID(account.id)))

    lines = [line async for line in export_log(platform.database)]
    tail = [line async for line in export_log(platform.database, after=3)]
    forged = [*lines[:4], msgspec.json.encode({**msgspec.json.decode(lines[4]), "kind": "vm.forged"}), *lines[5:]]

    here = await audit_log(platform.database)
    assert here.findings == []
    assert audit_export(lines) == here
    assert audit_export(tail).findings == []
    assert len(tail) == len(lines) - 3
    assert [finding.partition(":")[0] for finding in audit_export(forged).findings] == ["position 4"]
    assert [finding.partition(":")[0] for finding in audit_export(lines[:2] + lines[3:]).findings] == ["position 2"]
    assert not any(account.email.encode() in line or b"127.0.0.1" in line for line in lines)
    with pytest.raises(ExportUnreadable):
        audit_export([b"{}"])


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_role_that_may_only_append_can_run_the_audit_log(database_url: str, tmp_path: Path) -> None:
    statements = re.search(r"```sql\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert statements is not None
    role = f"zentry_app_{database_url.rpartition('/')[2]}"
    owner = await asyncpg.connect(database_url)
    try:
        await owner.execute(statements[1].replace("zentry_app", role))
        url = database_url.replace("postgres@", f"{role}:CHANGE-THIS@")
        async with open_under_test(settings_for_tests(tmp_path, database={"url": url})) as platform:
            account = await platform.signup()
            await platform.given_vm(account, status="terminated")
            await platform.inner.sequencer.tick()
            assert (await audit_log(platform.database)).findings == []
            for table in ("events", "event_log", "ledger_entries", "billing_records"):
                for attempt in (
                    f"UPDATE {table} SET user_id = NULL",
                    f"DELETE FROM {table}",
                    f"TRUNCATE {table} CASCADE",
                ):
                    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                        async with platform.database.work() as tx:
                            await tx.execute(sa.text(attempt))
                with pytest.raises(sa.exc.ProgrammingError, match="must be owner"):
                    async with platform.database.work() as tx:
                        await tx.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
    finally:
        await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await owner.close()


async def _guards(execute: Any, database: Database, *, on: bool) -> None:
    """Take the guards of events away as somebody could who owns the database, and put them back."""
    if database.dialect == "postgresql":
        await execute(sa.text(f"ALTER TABLE events {'ENABLE' if on else 'DISABLE'} TRIGGER USER"))
        return
    query = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'")
    if not on:
        _GUARDS[:] = [tuple(row) for row in await execute(query)]
        for name, _ in _GUARDS:
            await execute(sa.text(f"DROP TRIGGER {name}"))
        return
    for _, statement in _GUARDS:
        await execute(sa.text(statement))


_GUARDS: list[tuple[str, str]] = []
