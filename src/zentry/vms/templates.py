"""The rules about templates: what machines are created with, kept under a name.

A template is read when a machine is created from it and forgotten then: a later change of it
changes no machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.service import BillingService
from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction, values
from zentry.platform.settings import BillingSettings
from zentry.schema.vms import templates
from zentry.vms.choices import Choices
from zentry.vms.errors import SSHKeyNotFound, TemplateNameTaken, TemplateNotFound, TooManyTemplates
from zentry.vms.ssh_keys import SSHKeyRepository
from zentry.vms.types import Template

MOST_TEMPLATES: Final = 100
_TEMPLATE: Final[tuple[sa.ColumnElement[Any], ...]] = (
    templates.c.id,
    templates.c.name,
    templates.c.instance_type,
    templates.c.image,
    templates.c.labels,
    templates.c.ssh_keys,
    templates.c.delete_protection,
    templates.c.user_data,
    templates.c.created_at,
    templates.c.updated_at,
)


@dataclass(frozen=True, slots=True)
class TemplateFields:
    """What is to be kept; None leaves a template that is there as it is."""

    name: str | None = None
    instance_type: str | None = None
    image: str | None = None
    labels: Mapping[str, str] | None = None
    ssh_keys: tuple[UUID, ...] | None = None
    delete_protection: bool | None = None
    user_data: bytes | None = None
    """Sealed for the account."""

    @property
    def columns(self) -> dict[str, Any]:
        """The values of the table's columns, of those that are given."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if self.name is not None:
            given["name_key"] = self.name.casefold()
        if self.ssh_keys is not None:
            given["ssh_keys"] = [str(id_) for id_ in self.ssh_keys]
        return given


_TOLD: Final = ("name", "instance_type", "image", "delete_protection")
"""What an event tells of a change; user data is nobody's to read."""


class TemplateRepository:
    """Rows of templates."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def list(self, user_id: UUID, *, template_id: UUID | None = None) -> Sequence[Template]:
        """Return an account's templates by name, only this one where an id is given."""
        query = sa.select(*_TEMPLATE).where(templates.c.user_id == user_id)
        if template_id is not None:
            query = query.where(templates.c.id == template_id)
        rows = (await self._tx.execute(query.order_by(templates.c.name_key).limit(MOST_TEMPLATES))).all()
        return [_template(row) for row in rows]

    async def insert(self, template_id: UUID, fields: TemplateFields, *, user_id: UUID) -> bool:
        """Write a template; False when the account has its name."""
        columns = {**fields.columns, "user_data": fields.user_data}
        return await self._tx.insert_unless_there(
            templates, {"id": template_id, "user_id": user_id, "created_at": self._tx.now, **columns}
        )

    async def change(self, template_id: UUID, fields: TemplateFields) -> bool:
        """Change a template; False when its new name is taken."""
        changed = sa.update(templates).where(templates.c.id == template_id)
        try:
            await self._tx.execute(changed.values(**fields.columns, updated_at=self._tx.now))
        except sa.exc.IntegrityError:
            return False
        return True

    async def delete(self, template_id: UUID) -> None:
        """Remove a template."""
        await self._tx.execute(sa.delete(templates).where(templates.c.id == template_id))

    async def delete_all(self, user_id: UUID) -> None:
        """Forget every template of an account."""
        await self._tx.execute(sa.delete(templates).where(templates.c.user_id == user_id))


class TemplateService:
    """The rules about templates. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, settings: BillingSettings) -> None:
        self._tx = tx
        self._templates = TemplateRepository(tx)
        self._choices = Choices(tx)
        self._billing = BillingService(tx, settings)
        self._events = EventRecorder(tx)

    async def list_templates(self, *, caller: Caller) -> Sequence[Template]:
        """Return the caller's templates by name."""
        return await self._templates.list(caller.user_id)

    async def get_template(self, template_id: UUID | None, *, caller: Caller) -> Template:
        """Return a template of the caller, or raise `TemplateNotFound`."""
        found = [] if template_id is None else await self._templates.list(caller.user_id, template_id=template_id)
        if not found:
            raise TemplateNotFound
        return found[0]

    async def add_template(self, fields: TemplateFields, *, caller: Caller) -> UUID:
        """Keep a template under its name."""
        await self._ensure_possible(fields, caller=caller)
        await self._billing.lock_account(caller.user_id)  # Counts below hold for whoever comes next.
        if len(await self._templates.list(caller.user_id)) >= MOST_TEMPLATES:
            raise TooManyTemplates(MOST_TEMPLATES)
        template_id = self._tx.new_id()
        if not await self._templates.insert(template_id, fields, user_id=caller.user_id):
            raise TemplateNameTaken(fields.name)
        await self._record("template.added", template_id, caller=caller)
        return template_id

    async def change_template(self, template_id: UUID | None, fields: TemplateFields, *, caller: Caller) -> UUID:
        """Change what is given; machines that came from it stay as they are."""
        template = await self.get_template(template_id, caller=caller)
        await self._ensure_possible(fields, caller=caller)
        if not await self._templates.change(template.id, fields):
            raise TemplateNameTaken(fields.name)
        changed = sorted(set(fields.columns) - {"name_key"})
        before = {name: getattr(template, name) for name in _TOLD}
        after = {name: getattr(fields, name) for name in _TOLD if getattr(fields, name) is not None}
        await self._record("template.changed", template.id, caller=caller, changed=changed, **changes_of(before, after))
        return template.id

    async def delete_template(self, template_id: UUID | None, *, caller: Caller) -> UUID:
        """Forget a template; machines that came from it stay as they are."""
        template = await self.get_template(template_id, caller=caller)
        await self._templates.delete(template.id)
        await self._record("template.deleted", template.id, caller=caller)
        return template.id

    async def _ensure_possible(self, fields: TemplateFields, *, caller: Caller) -> None:
        if fields.instance_type is not None:
            await self._choices.get_size(fields.instance_type)
        if fields.image is not None:
            await self._choices.ensure_image(fields.image)
        wanted = set(fields.ssh_keys or ())
        if wanted - {key.id for key in await SSHKeyRepository(self._tx).list(caller.user_id, ids=sorted(wanted))}:
            raise SSHKeyNotFound

    async def _record(self, kind: str, template_id: UUID, *, caller: Caller, **data: object) -> None:
        await self._events.record(
            kind,
            resource_type="template",
            resource_id=template_id,
            user_id=caller.user_id,
            actor_id=caller.user_id,
            data=data,
        )


def _template(row: sa.Row[Any]) -> Template:
    id_, name, type_, image, labels, keys, *rest = values(row)
    return Template(id_, name, type_, image, labels, tuple(UUID(key) for key in keys), *rest)
