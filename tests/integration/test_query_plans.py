"""No request and no loop reads a growing table from end to end.

A whole journey runs through the API and the workers while every statement is noted; then the
database is asked how it would run each of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import PASSWORD, Account, PlatformUnderTest
from tests.support.statements import noting
from zentry.accounts.sweep import sweep_counters
from zentry.billing.statements import StatementService
from zentry.mail.sweep import sweep_mails
from zentry.schema.billing import statement_schedule

SMALL = {
    "event_head",
    "event_queue",
    "images",
    "instance_types",
    "invariant_checks",
    "metric_rollups",
    "price_lists",
    "prices",
    "reconciler_regions",
    "sampling_rounds",
    "webhook_cursor",
}
"""The catalogue stays small, and whoever reads it wants all of it; a region holds thousands of machines. Of the events
that await a position the first are wanted, whichever they are."""

DERIVED = {"due", "firing", "machines", "parts"}
"""What an inner query has found by an index, and the outer one reads as a whole."""

CURRENT = {"ix_vms_running", "ix_operations_due", "ix_operations_lease", "uq_operations_active_vm"}
"""Partial indexes that hold only what a loop is there to look at."""

FIGURES = {"sqlite_autoindex_users_2", "ix_vms_user_status"}
"""The platform's own figures count every account and every machine, along the narrowest index."""


MEMBERS_READ = (
    "/vms",
    "/vms?limit=1",
    "/vms?label_selector=env=prod,!tier",
    "/vms/status/summary",
    "/snapshots",
    "/operations",
    "/operations?status=failed",
    "/health/audit",
    "/monitoring/dashboard",
    "/monitoring/system/health",
)
ADMINISTRATORS_READ = ("/admin/users", "/admin/users?role=admin", "/admin/operations", "/admin/operations?limit=1")


async def _others_look(platform: PlatformUnderTest, ada: Account, project_id: str, reads: tuple[str, ...]) -> None:
    bob = await platform.given_member(ada, await platform.given_project(ada, "shared"), role="member")
    for path in (*reads, *MEMBERS_READ):
        await platform.client.get(path.replace(project_id, bob.id), headers=bob.headers)
    admin = await platform.given_admin()
    for path in ADMINISTRATORS_READ:
        assert (await platform.client.get(path, headers=admin.headers)).status_code == 200, path


async def journey(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()
    project_id = await platform.given_project(ada)
    vm = await platform.given_vm(ada, project_id=project_id)
    await platform.given_vm(ada, project_id=project_id, status="stopped")
    await platform.advance(hours=2)
    await platform.inner.collector.tick()
    await platform.inner.reconciler.tick()
    vm_id = vm["id"]
    policy = {"name": "busy", "source": "metric", "subject": "cpu_usage", "threshold": 1, "comparison": "above"}
    policy_id = (await platform.client.post("/alerts/policies", json=policy, headers=ada.headers)).json()["id"]
    stopped = {"name": "stopped", "source": "event", "subject": "vm.stopped"}
    await platform.client.post("/alerts/policies", json=stopped, headers=ada.headers)
    await platform.inner.alerts.tick()
    await platform.client.patch(f"/alerts/policies/{policy_id}", json={"threshold": 2}, headers=ada.headers)
    reads = (
        "/auth/me",
        "/projects",
        f"/projects/{project_id}",
        f"/projects/{project_id}/statistics",
        "/vms",
        "/vms?limit=1",
        "/vms?label_selector=env=prod,!tier,zone in (a,b)",
        "/quotas",
        f"/projects/{project_id}/quotas",
        f"/projects/{project_id}/deletion",
        "/snapshots",
        f"/vms/{vm_id}/snapshots",
        f"/vms?status=running&project_id={project_id}",
        f"/vms/{vm_id}",
        "/vms/status/summary",
        "/billing/credits",
        "/billing/history",
        "/billing/history?action_type=vm_usage",
        f"/billing/history?vm_id={vm_id}",
        "/billing/usage-summary",
        "/billing/cost-analysis",
        "/billing/ledger/export",
        f"/billing/history/export?project_id={project_id}",
        "/billing/focus/export",
        "/billing/usage?group_by=label&label_key=env",
        "/billing/usage?group_by=day",
        f"/monitoring/vms/{vm_id}/metrics",
        f"/monitoring/vms/{vm_id}/metrics/history",
        "/monitoring/dashboard",
        "/monitoring/metrics",
        "/monitoring/series?step=3600&compare=true",
        f"/monitoring/projects/{project_id}/series",
        f"/monitoring/vms/{vm_id}/series",
        "/alerts",
        "/alerts/policies",
        "/alerts/history",
        f"/alerts/history?policy_id={policy_id}&cursor=0064c095e410500019cae6e25207ba997ee05cde00902c7",
        "/alerts/silences",
        "/operations",
        "/operations?status=failed",
        "/operations?status=succeeded&kind=vms.create",
        f"/operations?vm_id={vm_id}",
        f"/vms/{vm_id}/operations",
        "/events",
        "/events?kind=vm.&since=2026-03-02&until=2026-03-03&order=oldest&cursor=1",
        f"/events?resource_id={vm_id}",
        f"/events?project_id={project_id}",
        f"/vms/{vm_id}/transitions",
        f"/vms/{vm_id}/transitions?limit=1&cursor=100",
    )
    for path in reads:
        answer = await platform.client.get(path, headers=ada.headers)
        assert answer.status_code == 200, (path, answer.text)
    line = (await platform.client.get("/billing/history?limit=1", headers=ada.headers)).json()["items"][0]
    await platform.client.get(f"/billing/records/{line['id']}/explain", headers=ada.headers)
    await _statements(platform, ada)
    cursor = (await platform.client.get("/vms?limit=1", headers=ada.headers)).json()["next_cursor"]
    await platform.client.get("/vms", params={"limit": 1, "cursor": cursor}, headers=ada.headers)
    page = (await platform.client.get("/operations?limit=1", headers=ada.headers)).json()
    await platform.client.get("/operations", params={"limit": 1, "cursor": page["next_cursor"]}, headers=ada.headers)
    await platform.client.get(f"/operations/{page['operations'][0]['id']}", headers=ada.headers)
    await platform.client.post("/billing/credits/add", json={"amount": 1}, headers=ada.headers)
    await platform.client.post(f"/vms/{vm_id}/restart", headers=ada.headers)
    await platform.settle()
    started = await platform.given_vm(ada, project_id=project_id, status="creating")
    operation_id = started["active_operation"]["id"]
    await platform.client.post(f"/operations/{operation_id}/cancel", headers=ada.headers)
    await platform.settle()
    await platform.client.patch(f"/vms/{vm_id}", json={"name": "other", "labels": {"a": "b"}}, headers=ada.headers)
    await platform.client.post(f"/vms/{vm_id}/resize", json={"instance_type": "medium"}, headers=ada.headers)
    await platform.settle()
    taken = await platform.client.post(f"/vms/{vm_id}/snapshots", json={"name": "one"}, headers=ada.headers)
    await platform.settle()
    path = f"/vms/{vm_id}/snapshots/{taken.json()['id']}/restore"
    await platform.client.post(path, headers=ada.headers)
    await platform.settle()
    await platform.client.delete(f"/snapshots/{taken.json()['id']}", headers=ada.headers)
    await platform.settle()
    await platform.client.put(f"/projects/{project_id}", json={"name": "Lab"}, headers=ada.headers)
    await _others_look(platform, ada, project_id, reads[:4])
    await platform.client.post("/auth/refresh", json={"refresh_token": ada.tokens["refresh_token"]})
    await _account(platform, ada)
    await platform.client.delete(f"/projects/{project_id}", headers=ada.headers)
    await platform.settle()


async def _account(platform: PlatformUnderTest, account: Account) -> None:
    """Sign in once more, use sessions, tokens, mails and links, and forget what is over."""
    client, credentials = platform.client, {"email": account.email, "password": PASSWORD}
    await client.post("/auth/refresh", json={"refresh_token": account.tokens["refresh_token"]})
    await client.post("/auth/refresh", json={"refresh_token": account.tokens["refresh_token"]})
    other = (await client.post("/auth/login", json=credentials)).json()
    await client.post("/auth/reauthenticate", json={"password": PASSWORD}, headers=account.headers)
    made = await client.post("/auth/tokens", json={"name": "a", "scopes": ["vms:read"]}, headers=account.headers)
    await client.get("/vms", headers={"Authorization": f"Bearer {made.json()['token']}"})
    path = f"/auth/tokens/{made.json()['id']}"
    for method, place in (("GET", "/auth/tokens"), ("GET", path), ("POST", f"{path}/rotate"), ("DELETE", path)):
        await client.request(method, place, headers=account.headers)
    sessions = (await client.get("/auth/sessions", headers=account.headers)).json()
    await client.delete(f"/auth/sessions/{sessions[0]['id']}", headers=account.headers)
    await client.delete("/auth/sessions", headers=account.headers)
    for path in ("/auth/email/verification", "/auth/second-factor"):
        await client.post(path, json={"password": PASSWORD}, headers=account.headers)
    await client.post("/auth/second-factor/confirm", json={"code": "000000"}, headers=account.headers)
    await client.post("/auth/password/forgot", json={"email": account.email})
    await client.get("/auth/account/export", headers=account.headers)
    await platform.mails()
    await platform.inner.mailer._pause_seconds()
    await client.post("/auth/logout", headers={"Authorization": f"Bearer {other['access_token']}"})
    for sweep in (sweep_counters, sweep_mails):
        async with platform.database.work() as tx:
            await sweep(tx)


async def _statements(platform: PlatformUnderTest, account: Account) -> None:
    """Close a month that is not over yet, and read what came of it."""
    async with platform.database.work() as tx:
        tx.now = tx.now + timedelta(days=60)
        mine = sa.update(statement_schedule).where(statement_schedule.c.user_id == UUID(account.id))
        await tx.execute(mine.values(due_at=tx.now))
        await StatementService(tx, platform.settings.billing).close_next()
    listed = await platform.client.get("/billing/statements", headers=account.headers)
    path = f"/billing/statements/{listed.json()['statements'][0]['id']}"
    body = {"name": "b", "amount": 1, "label_key": "env", "label_value": "x", "thresholds": [{"percent": 1}]}
    kept = await platform.client.post("/billing/budgets", json=body, headers=account.headers)
    await platform.client.get(f"/billing/budgets/{kept.json()['id']}", headers=account.headers)
    await platform.client.post("/billing/vouchers/redeem", json={"voucher_code": "0" * 20}, headers=account.headers)
    await platform.inner.budget_watch.tick()
    for part in ("", "/lines", "/csv", "/html"):
        answer = await platform.client.get(f"{path}{part}", headers=account.headers)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_sqlite_searches_every_growing_table_by_an_index(platform: PlatformUnderTest) -> None:
    with noting(platform.database) as noted:
        await journey(platform)

    scans = []
    async with platform.database.writer.connect() as connection:
        for statement, parameters in noted.items():
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            details = [row["detail"] for row in plan.mappings()]
            scans += [(detail, statement) for detail in details if _reads_all(detail, statement)]
    assert len(noted) > 40
    assert not scans, "\n\n".join(f"{what}: {statement}" for what, statement in scans)


def _reads_all(detail: str, statement: str) -> bool:
    scan = re.fullmatch(r"SCAN (\w+)(?: USING (COVERING )?INDEX (\w+))?", detail)
    if scan is None or _table(scan[1], statement) in SMALL | DERIVED or scan[3] in CURRENT:
        return False
    if scan[2] and scan[3] in FIGURES:
        return "user_id" in statement
    # In the order of an index, a limit stops the reading.
    return not (scan[3] and re.search(r"ORDER BY .*\sLIMIT", statement, re.DOTALL))


def _table(alias: str, statement: str) -> str:
    named = re.search(rf"(\w+) AS {alias}\b", statement)
    return named[1] if named else alias


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_postgresql_has_an_index_for_every_growing_table(platform: PlatformUnderTest) -> None:
    with noting(platform.database) as noted:
        await journey(platform)

    scans = []
    async with platform.database.writer.connect() as connection:
        # Small tables are cheapest to read as a whole; with that forbidden, a scan means there is no other way.
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in noted.items():
            plan = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            found = plan.scalar_one()
            nodes = list(_nodes(json.loads(found) if isinstance(found, str) else found))
            scans += [
                (node["Relation Name"], statement)
                for node in nodes
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] not in SMALL
            ]
    assert len(noted) > 40
    assert not scans, "\n\n".join(f"{what}: {statement}" for what, statement in scans)


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, list):
        for part in plan:
            yield from _nodes(part)
    elif isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        for part in plan.values():
            yield from _nodes(part)
