"""A platform with one of everything that somebody may own, and the people who may and may not see it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from tests.support.platform import PASSWORD, Account, PlatformUnderTest
from zentry.accounts.personal_tokens_schemas import PersonalTokenCreate
from zentry.billing.statements import StatementService
from zentry.monitoring.alerts.schemas import AlertPolicyCreate, SilenceCreate
from zentry.platform.scopes import LIMITABLE, SCOPES
from zentry.schema.billing import statement_schedule
from zentry.vms.templates_schemas import TemplateCreate
from zentry.webhooks.schemas import WebhookCreate

Ids = Mapping[str, str]

UNKNOWN: Final = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"
_ED25519: Final = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
KEYS: Final = {
    name: f"ssh-ed25519 {base64.b64encode(_ED25519 + sign * 32).decode()}"
    for name, sign in (("kept", b"1"), ("gone", b"2"))
}
TOKEN: Final = PersonalTokenCreate.model_json_schema()["examples"][0]
BUDGET: Final = {"amount": 1000, "thresholds": [{"percent": 100}]}
POLICY: Final = AlertPolicyCreate.model_json_schema()["examples"][0]
SILENCE: Final = SilenceCreate.model_json_schema()["examples"][0]
WEBHOOK: Final = WebhookCreate.model_json_schema()["examples"][0]
TEMPLATE: Final = TemplateCreate.model_json_schema()["examples"][0]
STATUSES: Final = ("stopped", "terminated", "creating")
NAMES: Final = (
    "budget_id",
    "delivery_id",
    "invitation_id",
    "key_id",
    "member_id",
    "operation_id",
    "policy_id",
    "project_id",
    "record_id",
    "session_id",
    "silence_id",
    "snapshot_id",
    "statement_id",
    "template_id",
    "token_id",
    "vm_id",
    "webhook_id",
)
"""Every parameter that names something owned."""


_SCOPES: Final = sorted(SCOPES)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What Ada has: a value for each parameter that names something of hers, and who else is there."""

    ada: Account
    eve: Account
    """Has a project of her own."""
    neighbour: Account
    """Works in another project of Ada's, with every right that can be given."""
    roles: Mapping[str, Account]
    """By what they are in the project."""
    admin: Account
    expired: Account
    """Whose token has expired."""
    ended: Account
    """Whose session has ended."""
    tokens: Sequence[tuple[frozenset[str], Mapping[str, str]]]
    """Personal access tokens of Ada's: their scopes, which no two share, and the header that carries each."""
    elsewhere: Account
    """Ada herself, with a token that is limited to her other project."""
    here: Mapping[str, str]
    """The header with a token of hers that is limited to the project."""
    ids: Ids
    vms: Sequence[str]
    """One VM of the project in each state; the first runs and is the one in `ids`."""
    deleted: Ids
    """What was Ada's, is gone, and can be named no longer."""


async def seed(platform: PlatformUnderTest) -> Seeded:
    """Make all of it."""
    expired = await platform.signup("expired@example.com")
    platform.clock.advance(timedelta(seconds=platform.settings.security.access_token_seconds))
    ended = await platform.signup("ended@example.com")
    await platform.client.post("/auth/logout", headers=ended.headers)
    platform.clock.advance(timedelta(seconds=platform.settings.security.token_cache_seconds))
    ada = await platform.signup("ada@example.com")
    project_id, other_id = await platform.given_project(ada, "seeded"), await platform.given_project(ada, "other")
    ids = await _everything(platform, ada, project_id, "kept")
    deleted = await _everything(platform, ada, await platform.given_project(ada, "doomed"), "gone")
    for path in (
        f"/projects/{deleted['project_id']}/members/{deleted['member_id']}",
        f"/projects/{deleted['project_id']}/invitations/{deleted['invitation_id']}",
        f"/snapshots/{deleted['snapshot_id']}",
        f"/ssh-keys/{deleted['key_id']}",
        f"/templates/{deleted['template_id']}",
        f"/auth/sessions/{deleted['session_id']}",
        f"/auth/tokens/{deleted['token_id']}",
        f"/alerts/policies/{deleted['policy_id']}",
        f"/alerts/silences/{deleted['silence_id']}",
        f"/billing/budgets/{deleted['budget_id']}",
        f"/webhooks/{deleted['webhook_id']}",
        f"/projects/{deleted['project_id']}",
    ):
        gone = await platform.client.delete(path, headers=ada.headers)
        assert gone.is_success, gone.text
        await platform.settle()
    offered = await platform.client.post(
        f"/projects/{project_id}/transfer", json={"member_id": ids["member_id"]}, headers=ada.headers
    )
    assert offered.is_success, offered.text
    roles = {role: await platform.given_member(ada, project_id, role=role) for role in ("viewer", "member", "admin")}
    eve = await platform.signup("eve@example.com")
    await platform.given_project(eve, "of eve")
    neighbour = await platform.given_member(ada, other_id, role="admin")
    vms = [str((await platform.given_vm(ada, project_id=project_id, status=one))["id"]) for one in STATUSES]
    return Seeded(
        ada=ada,
        eve=eve,
        neighbour=neighbour,
        roles={**roles, "owner": ada},
        admin=await platform.given_admin(),
        expired=expired,
        ended=ended,
        tokens=[await _token(platform, ada, scopes) for scopes in (_SCOPES[::2], _SCOPES[1::2])],
        elsewhere=replace(ada, headers=await _limited_token(platform, ada, other_id)),
        here=await _limited_token(platform, ada, project_id),
        ids={**ids, **await _bills(platform, ada)},
        vms=[ids["vm_id"], *vms],
        # A machine and what was asked of it stay readable by their ids when they are gone.
        deleted={name: id_ for name, id_ in deleted.items() if name not in {"vm_id", "operation_id"}},
    )


async def _everything(platform: PlatformUnderTest, account: Account, project_id: str, name: str) -> dict[str, str]:
    async def post(path: str, body: dict[str, Any]) -> str:
        answer = await platform.client.post(path, json=body, headers=account.headers)
        assert answer.is_success, answer.text
        await platform.settle()
        return str(answer.json()["id"])

    member = await platform.given_member(account, project_id, role="member")
    vm = await platform.given_vm(account, project_id=project_id)
    operations = await platform.client.get(f"/vms/{vm['id']}/operations", headers=account.headers)
    webhook_id = await post("/webhooks", WEBHOOK)
    return {
        "webhook_id": webhook_id,
        "delivery_id": await post(f"/webhooks/{webhook_id}/ping", {}),
        "project_id": project_id,
        "member_id": member.id,
        "invitation_id": await post(f"/projects/{project_id}/invitations", {"email": f"{name}@example.com"}),
        "vm_id": str(vm["id"]),
        "operation_id": str(operations.json()["operations"][0]["id"]),
        "snapshot_id": await post(f"/vms/{vm['id']}/snapshots", {"name": name}),
        "key_id": await post("/ssh-keys", {"name": name, "public_key": KEYS[name]}),
        "budget_id": await post("/billing/budgets", {**BUDGET, "name": name}),
        "policy_id": await post("/alerts/policies", {**POLICY, "name": name}),
        "silence_id": await post("/alerts/silences", SILENCE),
        "session_id": await _second_session(platform, account),
        "token_id": await post("/auth/tokens", {**TOKEN, "name": name}),
        "template_id": await post("/templates", {**TEMPLATE, "name": name}),
    }


async def _second_session(platform: PlatformUnderTest, account: Account) -> str:
    """Log somebody in once more and return the id of that session."""
    before = await platform.client.get("/auth/sessions", headers=account.headers)
    await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
    after = await platform.client.get("/auth/sessions", headers=account.headers)
    (new,) = {one["id"] for one in after.json()} - {one["id"] for one in before.json()}
    return str(new)


async def _token(
    platform: PlatformUnderTest, account: Account, scopes: Sequence[str]
) -> tuple[frozenset[str], dict[str, str]]:
    return frozenset(scopes), await _make_token(platform, account, {"name": scopes[0], "scopes": list(scopes)})


async def _limited_token(platform: PlatformUnderTest, account: Account, project_id: str) -> dict[str, str]:
    wishes = {"name": f"for {project_id}", "scopes": sorted(LIMITABLE), "project_ids": [project_id]}
    return await _make_token(platform, account, wishes)


async def _make_token(platform: PlatformUnderTest, account: Account, wishes: Mapping[str, Any]) -> dict[str, str]:
    made = await platform.client.post("/auth/tokens", json={**TOKEN, **wishes}, headers=account.headers)
    assert made.is_success, made.text
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    await platform.client.get("/auth/me", headers=headers)  # Notes its use, now and not while rows are compared.
    return headers


async def _bills(platform: PlatformUnderTest, account: Account) -> dict[str, str]:
    """Return a line, and a statement of a month that is not over: tokens would not outlive it."""
    lines = await platform.client.get("/billing/history", headers=account.headers)
    async with platform.database.work() as tx:
        tx.now = tx.now + timedelta(days=60)
        mine = sa.update(statement_schedule).where(statement_schedule.c.user_id == UUID(account.id))
        await tx.execute(mine.values(due_at=tx.now))
        while await StatementService(tx, platform.settings.billing).close_next():
            pass
    answer = await platform.client.get("/billing/statements", headers=account.headers)
    return {"record_id": str(lines.json()["items"][0]["id"]), "statement_id": str(answer.json()["statements"][0]["id"])}
