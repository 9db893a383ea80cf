"""User data and templates: what reaches the machine, what is kept of it, and what a template fills in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.platform.sealing import Sealer
from zentry.schema.vms import templates, vm_user_data
from zentry.vms.templates import MOST_TEMPLATES

SCRIPT = "#cloud-config\npackages: [nginx]\n# größer\n"
OTHER = "#!/bin/sh\necho hello\n"


async def _post(platform: PlatformUnderTest, account: Account, path: str, **body: Any) -> httpx.Response:
    return await platform.client.post(path, json=body, headers=account.headers)


async def _template(platform: PlatformUnderTest, account: Account, **fields: Any) -> dict[str, Any]:
    body = {"name": "web server", "instance_type": "small", "image": "debian-12", **fields}
    answer = await _post(platform, account, "/templates", **body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _sealed(platform: PlatformUnderTest, vm_id: str) -> bytes | None:
    async with platform.database.read() as tx:
        query = sa.select(vm_user_data.c.sealed).where(vm_user_data.c.vm_id == UUID(vm_id))
        sealed: bytes | None = (await tx.execute(query)).scalar_one_or_none()
        return sealed


async def _console(platform: PlatformUnderTest, account: Account, vm_id: str) -> str:
    answer = await platform.client.get(f"/vms/{vm_id}/console", headers=account.headers)
    return str(answer.json()["output"])


async def test_user_data_reaches_the_machine_and_lies_encrypted(platform: PlatformUnderTest) -> None:
    account = await platform.signup()

    vm = await platform.given_vm(account, user_data=SCRIPT)
    plain = await platform.given_vm(account)

    sealed = await _sealed(platform, vm["id"])
    sealer = Sealer(platform.settings.security.signing_key.get_secret_value())
    assert sealed is not None
    assert b"nginx" not in sealed
    assert sealer.unseal(sealed, owner=UUID(account.id)) == SCRIPT
    assert (vm["has_user_data"], plain["has_user_data"]) == (True, False)
    assert "user_data" not in vm
    assert f"cloud-init: user data of {len(SCRIPT.encode())} bytes" in await _console(platform, account, vm["id"])
    assert "user data" not in await _console(platform, account, plain["id"])


async def test_user_data_goes_with_its_machine(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, user_data=SCRIPT)

    await platform.client.delete(f"/vms/{vm['id']}", headers=account.headers)
    await platform.settle()

    assert await _sealed(platform, vm["id"]) is None


@pytest.mark.parametrize(
    ("user_data", "says"),
    [("packages: [nginx]", "#cloud-config"), ("", "must not be empty"), ("#!" + "x" * 16_383, "at most 16384")],
)
async def test_user_data_that_cloud_init_would_ignore_is_refused(
    platform: PlatformUnderTest, user_data: str, says: str
) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)

    answer = await _post(
        platform,
        account,
        "/vms",
        name="web",
        instance_type="small",
        image="debian-12",
        project_id=project_id,
        user_data=user_data,
    )

    [error] = answer.json()["details"]["validation_errors"]
    assert (answer.status_code, error["field"]) == (400, "user_data")
    assert says in error["message"]


async def test_a_machine_whose_user_data_cannot_be_read_fails_to_be_made_but_starts_again(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    there = await platform.given_vm(account, user_data=SCRIPT, status="stopped")
    new = await platform.given_vm(account, user_data=SCRIPT, status="creating")
    foreign = Sealer("another key that this installation had before").seal(SCRIPT, owner=UUID(account.id))
    async with platform.database.work() as tx:
        await tx.execute(sa.update(vm_user_data).values(sealed=foreign))

    await _post(platform, account, f"/vms/{there['id']}/start")
    await platform.settle()

    done = await platform.client.get(f"/vms/{new['id']}/operations", headers=account.headers)
    assert (await platform.get_vm(there["id"], account))["status"] == "running"
    assert (await platform.get_vm(new["id"], account))["status"] == "error"
    assert done.json()["operations"][0]["error"]["code"] == "USER_DATA_UNREADABLE"


async def test_a_machine_takes_from_its_template_what_the_request_leaves_out(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    template = await _template(
        platform, account, labels={"tier": "web", "env": "test"}, user_data=SCRIPT, delete_protection=True
    )
    both = {"project_id": project_id, "template_id": template["id"]}

    plain = (await _post(platform, account, "/vms", name="one", **both)).json()
    other = (
        await _post(
            platform,
            account,
            "/vms",
            name="two",
            **both,
            instance_type="medium",
            image="ubuntu-22.04",
            labels={"env": "prod"},
            delete_protection=False,
            user_data=OTHER,
        )
    ).json()
    await platform.settle()

    sealer = Sealer(platform.settings.security.signing_key.get_secret_value())
    texts = [sealer.unseal(await _sealed(platform, vm["id"]) or b"", owner=UUID(account.id)) for vm in (plain, other)]
    assert (plain["instance_type"], plain["image"], plain["delete_protection"]) == ("small", "debian-12", True)
    assert plain["labels"] == {"tier": "web", "env": "test"}
    assert (other["instance_type"], other["image"], other["delete_protection"]) == ("medium", "ubuntu-22.04", False)
    assert other["labels"] == {"tier": "web", "env": "prod"}
    assert texts == [SCRIPT, OTHER]


async def test_templates_are_listed_changed_and_forgotten(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    web, db = await _template(platform, account), await _template(platform, account, name="DB", user_data=SCRIPT)
    path = f"/templates/{web['id']}"

    listed = (await platform.client.get("/templates", headers=account.headers)).json()
    changed = await platform.client.patch(path, json={"instance_type": "large"}, headers=account.headers)
    taken = await platform.client.patch(path, json={"name": "db"}, headers=account.headers)
    again = await _post(platform, account, "/templates", name="WEB server", instance_type="small", image="debian-12")
    elsewhere = await _post(platform, stranger, "/templates", name="DB", instance_type="small", image="debian-12")
    deleted = await platform.client.delete(path, headers=account.headers)
    gone = await platform.client.get(path, headers=account.headers)

    assert [one["name"] for one in listed] == ["DB", "web server"]
    assert [one["has_user_data"] for one in listed] == [True, False]
    assert changed.json() == {**web, "instance_type": "large", "updated_at": changed.json()["updated_at"]}
    assert [taken.json()["error_code"], again.json()["error_code"]] == ["TEMPLATE_NAME_TAKEN"] * 2
    assert (elsewhere.status_code, deleted.status_code, gone.status_code) == (201, 200, 404)
    assert db["id"] != web["id"]


async def test_what_a_template_names_has_to_be_there(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    project_id = await platform.given_project(account)
    key = (
        await _post(
            platform,
            account,
            "/ssh-keys",
            name="laptop",
            public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7Y85cenhwxsEWljaHuM8+BjsxGi7uoIWE348VYvISO",
        )
    ).json()
    template = await _template(platform, account, ssh_keys=[key["id"]])
    body = {"name": "web", "instance_type": "small", "image": "debian-12"}

    wrong_size = await _post(platform, account, "/templates", **{**body, "instance_type": "huge"})
    wrong_image = await _post(platform, account, "/templates", **{**body, "image": "plan9"})
    foreign_key = await _post(platform, stranger, "/templates", **body, ssh_keys=[key["id"]])
    foreign = await _post(platform, stranger, "/vms", name="web", project_id=project_id, template_id=template["id"])
    nothing = await _post(platform, account, "/vms", name="web", project_id=project_id)
    await platform.client.delete(f"/ssh-keys/{key['id']}", headers=account.headers)
    outdated = await _post(platform, account, "/vms", name="web", project_id=project_id, template_id=template["id"])

    assert "choose one of" in wrong_size.json()["message"] + str(wrong_size.json()["details"])
    assert [wrong_size.status_code, wrong_image.status_code] == [400, 400]
    assert (foreign_key.status_code, foreign_key.json()["message"]) == (404, "SSH key not found")
    assert (foreign.status_code, foreign.json()["message"]) == (404, "Template not found")
    assert (nothing.status_code, nothing.json()["details"]["validation_errors"][0]["field"]) == (400, "instance_type")
    assert (outdated.status_code, outdated.json()["error_code"]) == (409, "TEMPLATE_OUTDATED")
    assert (await platform.client.get("/vms", headers=account.headers)).json()["total_count"] == 0


async def test_an_account_has_so_many_templates_and_no_more(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    async with platform.database.work() as tx:
        rows = [
            {
                "id": tx.new_id(),
                "user_id": UUID(account.id),
                "name": f"t{number}",
                "name_key": f"t{number}",
                "instance_type": "small",
                "image": "debian-12",
                "created_at": tx.now,
            }
            for number in range(MOST_TEMPLATES)
        ]
        await tx.execute(sa.insert(templates), rows)

    refused = await _post(platform, account, "/templates", name="one", instance_type="small", image="debian-12")

    assert (refused.status_code, refused.json()["error_code"]) == (409, "TOO_MANY_TEMPLATES")


async def test_the_engine_is_told_the_user_data(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, user_data=SCRIPT)
    assert isinstance(platform.driver, SimulatorDriver)

    booted = platform.driver.world.last_boot(UUID(vm["id"]))

    assert booted is not None
    assert booted.user_data_bytes == len(SCRIPT.encode())
