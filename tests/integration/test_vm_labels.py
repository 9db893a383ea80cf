"""Names, labels and protection of machines, and finding machines by their labels."""

from __future__ import annotations

from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.schema.events import events
from zentry.schema.vms import vm_labels


async def _change(platform: PlatformUnderTest, account: Account, vm_id: str, **changes: object) -> dict[str, object]:
    answer = await platform.client.patch(f"/vms/{vm_id}", json=changes, headers=account.headers)
    return {"status_code": answer.status_code, **answer.json()}


async def _names(platform: PlatformUnderTest, account: Account, selector: str) -> list[str]:
    answer = await platform.client.get("/vms", params={"label_selector": selector}, headers=account.headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["filters_applied"] == {"label_selector": selector}
    return sorted(vm["name"] for vm in answer.json()["vms"])


async def test_a_machine_is_renamed_and_labelled_while_it_is_busy(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="creating", labels={"env": "test"})

    changed = await _change(platform, account, vm["id"], name="db-1", labels={"env": "prod", "tier": "db"})
    await platform.settle()
    now_is = await platform.get_vm(vm["id"], account)

    assert vm["labels"] == {"env": "test"}
    assert (changed["status_code"], changed["name"]) == (200, "db-1")
    assert (now_is["name"], now_is["labels"], now_is["status"]) == ("db-1", {"env": "prod", "tier": "db"}, "running")


async def test_what_is_left_out_of_a_change_stays(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, name="web", labels={"env": "prod"})

    nothing = await _change(platform, account, vm["id"])
    protected = await _change(platform, account, vm["id"], delete_protection=True, name=None)
    cleared = await _change(platform, account, vm["id"], labels={})

    assert nothing["status_code"] == 200
    assert (protected["name"], protected["labels"], protected["delete_protection"]) == ("web", {"env": "prod"}, True)
    assert (cleared["labels"], cleared["delete_protection"]) == ({}, True)


async def test_a_change_is_recorded_with_what_it_named(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    await _change(platform, account, vm["id"], labels={"secret": "x"}, name="other")

    async with platform.database.read() as tx:
        query = sa.select(events.c.data).where(events.c.kind == "vm.changed", events.c.resource_id == UUID(vm["id"]))
        assert (await tx.execute(query)).scalars().all() == [
            {"changed": ["name", "labels"], "before": {"name": vm["name"]}, "after": {"name": "other"}}
        ]


async def test_a_rename_to_a_taken_name_is_refused_and_the_own_name_is_not(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    await platform.given_vm(account, project_id=project_id, name="web")
    gone = await platform.given_vm(account, project_id=project_id, name="old", status="terminated")
    vm = await platform.given_vm(account, project_id=project_id, name="db")

    taken = await _change(platform, account, vm["id"], name="WEB", labels={"a": "b"})
    own = await _change(platform, account, vm["id"], name="DB")
    freed = await _change(platform, account, vm["id"], name="old")

    assert (taken["status_code"], taken["error_code"]) == (409, "VM_NAME_TAKEN")
    assert (own["status_code"], own["name"], own["labels"]) == (200, "DB", {})
    assert freed["name"] == gone["name"]


async def test_a_terminated_machine_is_not_changed(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status="terminated")

    changed = await _change(platform, account, vm["id"], labels={"a": "b"})

    assert (changed["status_code"], changed["error_code"]) == (409, "VM_INVALID_TRANSITION")
    assert (await platform.get_vm(vm["id"], account))["labels"] == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "has space"}, "name"),
        ({"labels": {"bad key": "x"}}, "labels.bad key"),
        ({"labels": {"env": "no spaces"}}, "labels.env"),
        ({"labels": ["env"]}, "labels"),
        ({"labels": {f"k{n}": "" for n in range(33)}}, "labels"),
        ({"delete_protection": "yes"}, "delete_protection"),
        ({"status": "running"}, "status"),
    ],
)
async def test_a_bad_change_names_its_field_and_changes_nothing(
    platform: PlatformUnderTest, change: dict[str, object], field: str
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    answer = await platform.client.patch(f"/vms/{vm['id']}", json=change, headers=account.headers)

    assert answer.status_code == 400
    assert answer.json()["details"]["validation_errors"][0]["field"].startswith(field)
    assert await platform.get_vm(vm["id"], account) == vm


async def test_somebody_elses_machine_is_not_there_to_be_changed(platform: PlatformUnderTest) -> None:
    owner, stranger = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(owner)

    answers = [await _change(platform, stranger, id_, name="mine") for id_ in (vm["id"], str(UUID(int=5)), "7")]

    assert [answer["status_code"] for answer in answers] == [404] * 3


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("env=prod", ["db", "web"]),
        ("env=prod,tier=db", ["db"]),
        ("env!=prod", ["bare", "lab"]),
        ("env in (prod,test)", ["db", "lab", "web"]),
        ("env notin (prod,test)", ["bare"]),
        ("tier", ["db", "web"]),
        ("!tier", ["bare", "lab"]),
        ("!env,!tier", ["bare"]),
        ("env=nowhere", []),
    ],
)
async def test_a_selector_finds_the_machines_whose_labels_meet_it(
    platform: PlatformUnderTest, selector: str, found: list[str]
) -> None:
    account, other = await platform.signup(), await platform.signup()
    await platform.given_vm(account, name="web", labels={"env": "prod", "tier": "web"})
    await platform.given_vm(account, name="db", labels={"env": "prod", "tier": "db"})
    await platform.given_vm(account, name="lab", labels={"env": "test"})
    await platform.given_vm(account, name="bare")
    await platform.given_vm(other, name="foreign", labels={"env": "prod", "tier": "db"})

    assert await _names(platform, account, selector) == found


async def test_a_selector_that_is_none_is_refused(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    answer = await platform.client.get("/vms", params={"label_selector": "env=a b"}, headers=account.headers)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["details"]["validation_errors"][0]["field"] == "label_selector"


async def test_a_selector_is_answered_from_the_index_of_labels(platform: PlatformUnderTest) -> None:
    if platform.database.dialect != "sqlite":
        pytest.skip("the plan is read off SQLite's")
    account = await platform.signup()
    await platform.given_vm(account, labels={"env": "prod"})
    noted: list[tuple[str, object]] = []
    engine = platform.database._reader.sync_engine
    sa.event.listen(engine, "before_cursor_execute", lambda *call: noted.append((call[2], call[3])))

    await _names(platform, account, "env=prod,!tier")

    statement, parameters = next((one, values) for one, values in noted if "vm_labels" in one)
    async with platform.database.writer.connect() as connection:
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]  # as it was sent
        details = [row["detail"] for row in plan.mappings()]
    assert any("ix_vm_labels_user_key_value" in detail for detail in details)
    assert not any(detail.startswith("SCAN vm") for detail in details), details


async def test_a_protected_machine_is_not_deleted_until_protection_is_lifted(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, delete_protection=True)

    refused = await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    stopped = await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    await _change(platform, account, vm["id"], delete_protection=False)
    deleted = await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    await platform.settle()

    assert (refused.status_code, refused.json()["error_code"]) == (409, "VM_PROTECTED")
    assert (stopped.status_code, deleted.status_code) == (200, 200)
    assert (await platform.get_vm(vm["id"], account))["status"] == "terminated"


async def test_a_project_with_a_protected_machine_is_kept_whole(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    web = await platform.given_vm(account, project_id=project_id, name="web")
    db = await platform.given_vm(account, project_id=project_id, name="db", delete_protection=True)
    path = f"/projects/{project_id}"

    before = await platform.client.get(f"{path}/deletion", headers=account.headers)
    refused = await platform.client.delete(path, headers=account.headers)
    kept = await platform.get_vm(web["id"], account)
    await _change(platform, account, db["id"], delete_protection=False)
    after = await platform.client.get(f"{path}/deletion", headers=account.headers)
    deleted = await platform.client.delete(path, headers=account.headers)
    await platform.settle()

    assert (refused.status_code, refused.json()["error_code"]) == (409, "PROJECT_PROTECTED")
    assert refused.json()["details"] == {"vms": ["db"]}
    assert (kept["status"], kept["active_operation"]) == ("running", None)
    assert (before.json()["allowed"], before.json()["protected"]) == (False, ["db"])
    assert before.json()["running_cost_per_hour"] == 0.1
    assert {vm["name"] for vm in after.json()["vms"]} == {"web", "db"}
    assert after.json()["allowed"] is True
    assert deleted.json()["data"]["terminated_vms"] == 2


async def test_the_preview_of_somebody_elses_project_is_not_there(platform: PlatformUnderTest) -> None:
    owner, stranger = await platform.signup(), await platform.signup()
    project_id = await platform.given_project(owner)

    answer = await platform.client.get(f"/projects/{project_id}/deletion", headers=stranger.headers)

    assert answer.status_code == 404


async def test_labels_are_kept_once_for_each_key(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, labels={"a": "1", "b": "2"})
    await _change(platform, account, vm["id"], labels={"b": "3"})

    async with platform.database.read() as tx:
        rows = (await tx.execute(sa.select(vm_labels.c.key, vm_labels.c.value))).all()

    assert [tuple(row) for row in rows] == [("b", "3")]


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("GET", "/vms?label_selector=env%3D%3D%3D", None, "Write it as in `env=prod,tier!=web"),
        ("GET", "/vms?cursor=nonsense", None, "send `next_cursor` of the page before"),
        ("POST", "/projects", {"name": "a/b"}, "letters, digits, spaces, `-` and `_`"),
        ("POST", "/ssh-keys", {"name": "a/b", "public_key": "ssh-ed25519 AAAA"}, "begins with a letter or a digit"),
    ],
)
async def test_what_does_not_match_a_pattern_is_told_in_words(
    platform: PlatformUnderTest, method: str, path: str, body: dict[str, str] | None, words: str
) -> None:
    account = await platform.signup()

    answer = await platform.client.request(method, path, json=body, headers=account.headers)

    error = answer.json()
    assert (answer.status_code, error["error_code"]) == (400, "VALIDATION_ERROR")
    assert words in error["message"]
    assert "^" not in error["message"]
