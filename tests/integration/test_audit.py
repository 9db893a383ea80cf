"""The audit log: every sensitive act is in it, it cannot be changed unnoticed, and others can check it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import pytest
import sqlalchemy as sa

from tests.support.platform import PASSWORD, Account, PlatformUnderTest, open_under_test, settings_for_tests
from tests.support.totp import code_at
from zentry.events.audit import ExportUnreadable, audit_export, audit_log, export_log
from zentry.platform.db import Database
from zentry.schema.events import event_details, event_log, events

# What must leave a trace, by the kind of its event, and the fields of which it says what they were and are.
SENSITIVE: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(fields.split())
    for kind, fields in {
        "account.deactivated": "",
        "account.demoted": "role",
        "account.email_changed": "email",
        "account.factor_reset": "",
        "account.logged_in": "",
        "account.login_refused": "",
        "account.password_changed": "",
        "account.profile_updated": "name",
        "account.promoted": "role",
        "account.reauthenticated": "",
        "account.resumed": "is_suspended",
        "account.second_factor_enabled": "",
        "account.session_revoked": "",
        "account.signed_out": "",
        "account.signed_up": "",
        "account.suspended": "is_suspended",
        "account.token_created": "",
        "account.token_revoked": "",
        "account.token_rotated": "",
        "budget.changed": "amount_micros thresholds",
        "credit.added": "",
        "credit.adjusted": "",
        "credit.granted": "",
        "discount.changed": "",
        "prices.announced": "small",
        "prices.withdrawn": "",
        "project.created": "",
        "project.deleted": "",
        "project.invited": "",
        "project.member_joined": "",
        "project.member_removed": "",
        "project.role_changed": "",
        "project.transfer_offered": "",
        "project.updated": "description",
        "quota.changed": "vms",
        "ssh_key.added": "",
        "ssh_key.deleted": "",
        "ssh_key.renamed": "name",
        "template.added": "",
        "template.changed": "delete_protection",
        "vm.changed": "delete_protection",
        "vm.create_requested": "",
        "vm.delete_requested": "",
        "vm.resize_requested": "",
        "vm.stop_requested": "",
        "webhook.added": "",
        "webhook.changed": "kinds",
        "webhook.deleted": "",
        "webhook.secret_rotated": "",
    }.items()
}
# Those that tell it in words of their own, one value each.
IN_OTHER_WORDS: Final[Mapping[str, Mapping[str, object]]] = {
    "discount.changed": {"before_basis_points": 0, "after_basis_points": 2_500},
    "project.role_changed": {"before": "viewer", "after": "member"},
    "project.member_removed": {"before": "member"},
    "vm.resize_requested": {"before": "small", "after": "medium"},
}
# Those that nobody has proved to be: the one by a stranger, and the one from the command line.
WITHOUT_ACTOR: Final = {"account.login_refused"}
NEW_PASSWORD: Final = "quite another horse, stapled"
USER_DATA: Final = "#!/bin/sh\necho planted-secret-of-user-data\n"
SSH_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7n4Qf1rQ0Y8mE0m0m5xk5tJ3d3m3mS3v0v0v0v0v0v ada"
GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "operating.md"


async def _act(platform: PlatformUnderTest) -> tuple[Account, set[str]]:
    """Do everything that is sensitive once; return the administrator, and every secret that was in it."""
    admin, account = await platform.given_admin(), await platform.signup("ada@example.com")
    secrets = {PASSWORD, NEW_PASSWORD, SSH_KEY, "planted-secret-of-user-data"}

    async def ask(method: str, path: str, body: object = None, *, by: Account = account) -> Any:
        answer = await platform.client.request(method, path, json=body, headers=by.headers)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        told = answer.json() if answer.content else None
        if isinstance(told, dict):
            secrets.update(str(told[name]) for name in ("token", "secret") if told.get(name))
        return told

    await platform.client.post("/auth/login", json={"email": account.email, "password": f"{PASSWORD}x"})
    await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
    await ask("PUT", "/auth/profile", {"name": "Ada King"})
    await ask("POST", "/auth/reauthenticate", {"password": PASSWORD})
    await ask("DELETE", "/auth/sessions")
    token = await ask("POST", "/auth/tokens", {"name": "script", "scopes": ["vms:read"]})
    await ask("POST", f"/auth/tokens/{token['id']}/rotate")
    await ask("DELETE", f"/auth/tokens/{token['id']}")
    await _with_projects(platform, account, ask)
    key = await ask("POST", "/ssh-keys", {"name": "laptop", "public_key": SSH_KEY})
    await ask("PUT", f"/ssh-keys/{key['id']}", {"name": "desktop"})
    await ask("DELETE", f"/ssh-keys/{key['id']}")
    template = {"name": "t", "instance_type": "small", "image": "debian-12", "user_data": USER_DATA}
    template = await ask("POST", "/templates", template)
    await ask("PATCH", f"/templates/{template['id']}", {"delete_protection": True})
    await ask("POST", "/billing/credits/add", {"amount": 5})
    budget = {"name": "month", "amount": 10, "thresholds": [{"percent": 100}]}
    made = await ask("POST", "/billing/budgets", budget)
    await ask("PUT", f"/billing/budgets/{made['id']}", {**budget, "amount": 20})
    hook = await ask("POST", "/webhooks", {"url": "https://hooks.example.com/zentry", "kinds": ["vm."]})
    await ask("PATCH", f"/webhooks/{hook['id']}", {"kinds": ["vm.", "credit."]})
    await ask("POST", f"/webhooks/{hook['id']}/rotate-secret")
    await ask("DELETE", f"/webhooks/{hook['id']}")
    await _as_administrator(platform, admin, account, ask)
    enrolled = await ask("POST", "/auth/second-factor", {"password": PASSWORD})
    codes = await ask("POST", "/auth/second-factor/confirm", {"code": code_at(platform, enrolled["secret"])})
    secrets.update(codes["recovery_codes"])
    await ask("PUT", "/auth/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD})
    await ask("PUT", "/auth/email", {"email": "king@example.com", "password": NEW_PASSWORD})
    texts = [
        mail.get_content()
        for mail in await platform.mails()
        if (mail["To"], mail["Subject"]) == ("king@example.com", "Confirm your new e-mail address")
    ]
    await ask("POST", "/auth/email/confirm", {"token": re.findall(r"zl_[A-Za-z0-9_-]{43}", texts[-1])[0]})
    for what in ("second-factor/reset", "sign-out"):
        await ask("POST", f"/admin/users/{account.id}/{what}", by=admin)
        await _log_in(platform, account, email="king@example.com", password=NEW_PASSWORD)
    await ask("POST", "/auth/account/deactivate", {"password": NEW_PASSWORD})
    await platform.advance(seconds=2)  # What was verified of the caller is trusted for a second.
    await platform.inner.sequencer.tick()
    return admin, secrets


async def _with_projects(platform: PlatformUnderTest, account: Account, ask: Any) -> None:
    project = await ask("POST", "/projects", {"name": "lab"})
    path = f"/projects/{project['id']}"
    await ask("PUT", path, {"description": "ours"})
    member = await platform.given_member(account, project["id"], role="viewer")
    await ask("PATCH", f"{path}/members/{member.id}", {"role": "member"})
    await ask("POST", f"{path}/transfer", {"member_id": member.id})
    await ask("DELETE", f"{path}/members/{member.id}")
    vm = await platform.given_vm(account, project_id=project["id"], delete_protection=True, user_data=USER_DATA)
    await ask("PATCH", f"/vms/{vm['id']}", {"delete_protection": False})
    await ask("POST", f"/vms/{vm['id']}/stop")
    await platform.settle()
    await ask("POST", f"/vms/{vm['id']}/resize", {"instance_type": "medium"})
    await platform.settle()
    await ask("DELETE", f"/vms/{vm['id']}")
    await platform.settle()
    await ask("DELETE", path)


async def _as_administrator(platform: PlatformUnderTest, admin: Account, account: Account, ask: Any) -> None:
    path = f"/admin/users/{account.id}"
    await ask("PUT", f"{path}/role", {"role": "admin"}, by=admin)
    await ask("PUT", f"{path}/role", {"role": "user"}, by=admin)
    await ask("PATCH", f"{path}/quotas", {"vms": 7}, by=admin)
    await ask("PUT", f"{path}/discount", {"percent": 25, "reason": "friends"}, by=admin)
    await ask("POST", f"{path}/credits", {"kind": "grant", "amount": 2, "reason": "pilot"}, by=admin)
    await ask("POST", f"{path}/credits", {"kind": "deduction", "amount": 1, "reason": "mistake"}, by=admin)
    await ask("POST", f"{path}/grants", {"amount": 3, "days": 5, "reason": "trial"}, by=admin)
    at = (platform.clock.now() + timedelta(days=60)).isoformat()
    announced = await ask(
        "POST",
        "/admin/price-lists",
        {"effective_at": at, "instance_types": [{"instance_type": "small", "price": 0.07}]},
        by=admin,
    )
    await ask("DELETE", f"/admin/price-lists/{announced['version']}", by=admin)
    await ask("POST", f"{path}/suspend", {"reason": "odd logins"}, by=admin)
    await ask("POST", f"{path}/resume", by=admin)
    await _log_in(platform, account, email=account.email, password=PASSWORD)


async def _log_in(platform: PlatformUnderTest, account: Account, *, email: str, password: str) -> None:
    """Give somebody a session again."""
    login = await platform.client.post("/auth/login", json={"email": email, "password": password})
    account.headers["Authorization"] = f"Bearer {login.json()['access_token']}"


async def test_every_sensitive_act_is_recorded(platform: PlatformUnderTest) -> None:
    admin, secrets = await _act(platform)

    found = []
    cursor = ""
    while True:
        page = (await platform.client.get(f"/admin/audit?limit=500{cursor}", headers=admin.headers)).json()
        found += page["entries"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    by_kind = {entry["kind"]: entry for entry in reversed(found)}  # The newest of each kind.
    assert set(SENSITIVE) - set(by_kind) == set()
    for kind, fields in SENSITIVE.items():
        entry = by_kind[kind]
        told = {**entry["data"], **(entry["personal"] or {})}
        assert entry["actor_id"] is not None or kind in WITHOUT_ACTOR, kind
        assert entry["resource_id"], kind
        assert (entry["address"], bool(entry["agent"]), bool(entry["request_id"])) == ("127.0.0.1", True, True), kind
        if kind in IN_OTHER_WORDS:
            assert IN_OTHER_WORDS[kind].items() <= told.items(), (kind, told)
        elif fields:
            assert fields == told["before"].keys() & told["after"].keys() >= fields, (kind, told)
            assert all(told["before"][field] != told["after"][field] for field in fields), (kind, told)
    assert by_kind["account.profile_updated"]["personal"] == {
        "before": {"name": "Ada Test"},
        "after": {"name": "Ada King"},
    }
    assert by_kind["quota.changed"]["data"]["after"] == {"vms": 7}
    assert not [secret for secret in secrets if secret in str(found)]
    hashed = {kind: entry["data"] for kind, entry in by_kind.items()}
    assert not [word for word in ("Ada", "King", "example.com") if word in str(hashed)], "what cannot be deleted"


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
