"""What is kept about an account, for its owner to take away; a read over the tables of many domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform import money
from zentry.platform.db import Transaction
from zentry.schema.accounts import personal_tokens, sessions, users
from zentry.schema.billing import billing_records
from zentry.schema.projects import projects
from zentry.schema.vms import ssh_keys, vms

MOST_ROWS: Final = 10_000
"""Of each kind; longer histories are read page by page through their own routes."""

_SECTIONS: Final[Mapping[str, sa.Select[Any]]] = {
    "sessions": sa.select(
        sessions.c.id, sessions.c.created_at, sessions.c.last_used_at, sessions.c.user_agent, sessions.c.address
    ).where(sessions.c.user_id == sa.bindparam("owner_id")),
    "personal_access_tokens": sa.select(
        personal_tokens.c.id,
        personal_tokens.c.name,
        personal_tokens.c.scopes,
        personal_tokens.c.projects.label("project_ids"),
        personal_tokens.c.created_at,
    ).where(personal_tokens.c.user_id == sa.bindparam("owner_id")),
    "ssh_keys": sa.select(ssh_keys.c.id, ssh_keys.c.name, ssh_keys.c.public_key, ssh_keys.c.created_at).where(
        ssh_keys.c.user_id == sa.bindparam("owner_id")
    ),
    "projects": sa.select(projects.c.id, projects.c.name, projects.c.description, projects.c.created_at).where(
        projects.c.user_id == sa.bindparam("owner_id")
    ),
    "vms": sa.select(vms.c.id, vms.c.name, vms.c.status, vms.c.instance_type, vms.c.created_at).where(
        vms.c.user_id == sa.bindparam("owner_id")
    ),
    "billing": sa.select(
        billing_records.c.id,
        billing_records.c.action_type,
        billing_records.c.amount,
        billing_records.c.description,
        billing_records.c.created_at,
    ).where(billing_records.c.user_id == sa.bindparam("owner_id")),
}
_ACCOUNT: Final = sa.select(
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.role,
    users.c.created_at,
    users.c.last_login,
    users.c.email_verified_at,
).where(users.c.id == sa.bindparam("owner_id"))


async def export_account(tx: Transaction, user_id: UUID) -> Mapping[str, Any]:
    """Return the account and what belongs to it, the newest of each kind first."""
    parameters = {"owner_id": user_id}
    account = (await tx.execute(_ACCOUNT, parameters)).one()
    exported: dict[str, Any] = {"exported_at": tx.now, "account": account._asdict()}
    for name, query in _SECTIONS.items():
        newest = query.order_by(query.selected_columns.created_at.desc()).limit(MOST_ROWS)
        rows = [row._asdict() for row in await tx.execute(newest, parameters)]
        if name == "billing":
            rows = [{**row, "amount": money.to_credits(row["amount"])} for row in rows]
        exported[name] = rows
    return exported
