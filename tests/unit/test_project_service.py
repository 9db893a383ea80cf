"""The rules of projects and quotas, without HTTP."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from tests.support.databases import connect
from zentry.platform.caller import Caller, Role
from zentry.platform.db import Database, Transaction
from zentry.platform.db.migrations import Migrations
from zentry.platform.ids import new_id
from zentry.platform.settings import QuotaSettings
from zentry.projects.errors import ProjectNameTaken, ProjectNotFound
from zentry.projects.quotas import QuotaExceeded, Quotas, open_account_quotas
from zentry.projects.schemas import ProjectCreate, ProjectUpdate
from zentry.projects.service import ProjectService
from zentry.schema.accounts import users
from zentry.schema.events import events
from zentry.schema.projects import projects, quotas

SETTINGS = QuotaSettings(projects_per_user=3, vms_per_user=5, vms_per_project=2)
_numbers = itertools.count()


class Machines:
    """A project's contents: as many machines as it is told."""

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self.asked: list[tuple[Transaction, UUID, Caller]] = []

    async def terminate_all(self, tx: Transaction, *, project_id: UUID, caller: Caller) -> int:
        self.asked.append((tx, project_id, caller))
        return self.count


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = connect(f"sqlite:///{tmp_path / 'test.db'}")
    await Migrations(opened).upgrade()
    yield opened
    await opened.close()


async def given_caller(database: Database) -> Caller:
    async with database.work() as tx:
        user_id = tx.new_id()
        email = f"user{next(_numbers)}@example.com"
        await tx.execute(
            sa.insert(users).values(
                id=user_id,
                email=email,
                email_key=email,
                name="Ada",
                hashed_password="x",
                role="user",
                is_active=True,
                created_at=tx.now,
            )
        )
        await open_account_quotas(tx, user_id, SETTINGS)
    return Caller(user_id=user_id, session_id=uuid4(), role=Role.USER)


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await given_caller(database)


def build(tx: Transaction, contents: Machines | None = None) -> ProjectService:
    return ProjectService(tx, contents=contents or Machines(), quotas=SETTINGS)


async def create(database: Database, caller: Caller, name: str = "lab") -> UUID:
    async with database.work() as tx:
        return (await build(tx).create_project(name=name, description="", caller=caller)).id


async def used(database: Database, owner_id: UUID, resource: str) -> int:
    query = sa.select(quotas.c.used).where(quotas.c.owner_id == owner_id, quotas.c.resource == resource)
    async with database.read() as tx:
        return int((await tx.execute(query)).scalar_one())


async def test_a_new_project_is_empty_counted_and_recorded(database: Database, ada: Caller) -> None:
    async with database.work() as tx:
        project = await build(tx).create_project(name="lab", description="for trials", caller=ada)

    async with database.read() as tx:
        found = await build(tx).get_project(project.id, caller=ada)
        recorded = (await tx.execute(sa.select(events.c.kind, events.c.actor_id))).all()
    assert found == project
    assert (found.vm_count, found.active_vm_count, found.total_cost) == (0, 0, 0)
    assert await used(database, ada.user_id, "projects") == 1
    assert await used(database, project.id, "vms") == 0
    assert [tuple(row) for row in recorded] == [("project.created", ada.user_id)]


async def test_projects_are_listed_newest_first_and_nobody_elses(database: Database, ada: Caller) -> None:
    other = await given_caller(database)
    await create(database, other, "foreign")
    made = [await create(database, ada, name) for name in ("first", "second", "third")]

    async with database.read() as tx:
        listed = await build(tx).get_projects(caller=ada)

    assert [project.id for project in listed] == made[::-1]


async def test_a_name_is_taken_in_any_case_of_its_letters_and_nothing_is_counted(
    database: Database, ada: Caller
) -> None:
    await create(database, ada, "Lab")

    with pytest.raises(ProjectNameTaken):
        await create(database, ada, "LAB")

    assert await used(database, ada.user_id, "projects") == 1
    await create(database, await given_caller(database), "lab")


async def test_the_quota_refuses_one_more_and_says_how_many_there_may_be(database: Database, ada: Caller) -> None:
    for number in range(SETTINGS.projects_per_user):
        await create(database, ada, f"lab {number}")

    with pytest.raises(QuotaExceeded) as refused:
        await create(database, ada, "one too many")

    assert refused.value.code == "QUOTA_EXCEEDED"
    assert refused.value.details == {"resource": "projects", "maximum": 3, "used": 3}


async def test_concurrent_takers_get_exactly_what_there_is(database: Database) -> None:
    owner = uuid4()
    async with database.work() as tx:
        await Quotas(tx).open(owner, {"vms": 10})

    async def take() -> bool:
        try:
            async with database.work() as tx:
                await Quotas(tx).take(owner, "vms")
        except QuotaExceeded:
            return False
        return True

    taken = await asyncio.gather(*(take() for _ in range(40)))

    assert sum(taken) == 10
    assert await used(database, owner, "vms") == 10


async def test_more_than_was_taken_cannot_be_given_back(database: Database) -> None:
    owner = uuid4()
    async with database.work() as tx:
        await Quotas(tx).open(owner, {"vms": 10})

    async def give_back() -> None:
        async with database.work() as tx:
            await Quotas(tx).give_back(owner, "vms")

    with pytest.raises(sa.exc.IntegrityError):
        await give_back()


async def test_an_update_changes_what_it_names_and_keeps_the_rest(database: Database, ada: Caller) -> None:
    project_id = await create(database, ada)

    async with database.work() as tx:
        described = await build(tx).update_project(project_id, name=None, description="new", caller=ada)
    async with database.work() as tx:
        renamed = await build(tx).update_project(project_id, name="Lab", description=None, caller=ada)

    assert (described.name, described.description) == ("lab", "new")
    assert (renamed.name, renamed.description) == ("Lab", "new")
    assert renamed.updated_at is not None


async def test_a_rename_to_a_taken_name_is_refused(database: Database, ada: Caller) -> None:
    await create(database, ada, "lab")
    second = await create(database, ada, "second")

    async def rename() -> None:
        async with database.work() as tx:
            await build(tx).update_project(second, name="LAB", description=None, caller=ada)

    with pytest.raises(ProjectNameTaken):
        await rename()


async def test_deleting_empties_the_project_frees_its_name_and_its_place(database: Database, ada: Caller) -> None:
    project_id = await create(database, ada)
    machines = Machines(2)

    async with database.work() as tx:
        terminated = await build(tx, machines).delete_project(project_id, caller=ada)

    assert terminated == 2
    assert machines.asked == [(tx, project_id, ada)]
    assert await used(database, ada.user_id, "projects") == 0
    async with database.read() as tx:
        assert await build(tx).get_projects(caller=ada) == []
        kept = (await tx.execute(sa.select(projects.c.deleted_at))).scalar_one()
    assert kept is not None
    await create(database, ada)


async def test_a_deleted_project_has_no_room_for_a_machine_that_came_late(database: Database, ada: Caller) -> None:
    project_id = await create(database, ada)
    async with database.work() as tx:
        await build(tx).delete_project(project_id, caller=ada)

    async def take() -> None:
        async with database.work() as tx:
            await Quotas(tx).take(project_id, "vms")

    with pytest.raises(QuotaExceeded):
        await take()


@pytest.mark.parametrize("whose", ["nobody's", "somebody else's", "deleted", "in another form"])
async def test_what_is_not_the_callers_is_not_there(database: Database, ada: Caller, whose: str) -> None:
    project_id: UUID | None = None
    async with database.read() as tx:
        if whose == "nobody's":
            project_id = new_id(tx.now, Random(1))
    if whose == "somebody else's":
        project_id = await create(database, await given_caller(database))
    if whose == "deleted":
        project_id = await create(database, ada)
        async with database.work() as tx:
            await build(tx).delete_project(project_id, caller=ada)

    async with database.work() as tx:
        service = build(tx)
        for attempt in (
            service.get_project(project_id, caller=ada),
            service.get_statistics(project_id, caller=ada),
            service.update_project(project_id, name="x", description=None, caller=ada),
            service.delete_project(project_id, caller=ada),
        ):
            with pytest.raises(ProjectNotFound, match="Project not found"):
                await attempt


@pytest.mark.parametrize("name", ["a", "  padded  ", "with space", "under_score", "A-1", "x" * 100])
def test_good_names_are_accepted_and_trimmed(name: str) -> None:
    assert ProjectCreate(name=name).name == name.strip()
    assert ProjectUpdate(name=name).name == name.strip()


@pytest.mark.parametrize(
    "name", ["", " ", "x" * 101, "a/b", "a.b", "été", "a\nb", "a\x00b", "admin", " ROOT ", "System", "api", "www"]
)
def test_bad_names_are_refused(name: str) -> None:
    for model in (ProjectCreate, ProjectUpdate):
        with pytest.raises(ValidationError):
            model(name=name)


@pytest.mark.parametrize("description", ["x" * 501, "a\x00b"])
def test_bad_descriptions_are_refused(description: str) -> None:
    with pytest.raises(ValidationError):
        ProjectCreate(name="lab", description=description)
