"""SSH keys: what is accepted as one, and which machines get them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.support.platform import Account, PlatformUnderTest
from zentry.platform.errors import InvalidInput
from zentry.schema.vms import ssh_keys
from zentry.vms.public_keys import parse_public_key
from zentry.vms.repository import VMRepository
from zentry.vms.ssh_keys import MOST_KEYS

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7Y85cenhwxsEWljaHuM8+BjsxGi7uoIWE348VYvISO ada@laptop"
RSA = (
    "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQCkulX97iQf7DzaGFBGynao2bEfzTJpHbAB3yyFfRM8UDiMhKkTsqG1thQcBPnCouN32AjU"
    "bNKtqhgjjFldXc/yU6BKnc40v0hhEZCVrZchoT15/doRSJ/LitRdg9e7JS9cqK1H7R+GFVh6RyiA0L8MaLibK2wSXWwQETupfkVZ"
    "P9A2T1eBx0eX/N8vZ37Fosaorvzl5TmbNSVoXvxLSDmon2+psEq12OHrj2zaJWrZz7oqcnwz5rUsHpC3L7clg+jh+gVHNesV7ed2"
    "zF2upqGqP62mCYBUq2qERmXd0JMOKc8UUyCn19I2t+eLJ1HeijP2vqaHz6MY65aCpn1UEhIH"
    " rsa"
)
ECDSA = (
    "ecdsa-sha2-nistp384 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBMoq5UxueGtK1tcY/cApcPvKNWRjhCQ0kJbT+4jk7jaxF/mQ"
    "6O6sbNCeRb8hjLrjdC6v26GESYa0DuLg9jdznu579SjCDw405F8mtXm1gbpDWGHzxILGMsBHxMUy1nk9+g=="
    " ec"
)
WEAK = (
    "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAADAQABAAAAgQDhnmCE558kq9wLED6ML0yfE3At8AAff27EZWJr2BmLTSz8Y77D8CLxV/Z0ctvfJr6Af+Cc"
    "QrAq3DkhLH5zROFDmJUA2FsR7cZjZrCm875DZgQszewFklMbDq+0gBPo0VrmZBzCkFPGanUBLwsh16G+SuDHISc0E/4TgpvVsbKd"
    "xQ=="
    " weak"
)
FINGERPRINT = "SHA256:5MRjWoaLZPiLJjvyyM1bjrWCoYAj+sAzt8BsozOzwaU"


async def _add(platform: PlatformUnderTest, account: Account, name: str, key: str = ED25519) -> dict[str, Any]:
    answer = await platform.client.post("/ssh-keys", json={"name": name, "public_key": key}, headers=account.headers)
    return {"status_code": answer.status_code, **answer.json()}


@pytest.mark.parametrize(
    ("text", "fingerprint"),
    [
        (ED25519, FINGERPRINT),
        (f"  {ED25519}\n", FINGERPRINT),
        (ED25519.rpartition(" ")[0], FINGERPRINT),
        (RSA, "SHA256:BF+M+jmMxzH7oi8p+K1lIx52rE76ms05BxJdsMA2Jt4"),
        (ECDSA, "SHA256:MfqigrGbBiHG1Nv36zRSkEznfGJDXRJv63Ut0v3bmyY"),
    ],
)
def test_a_key_has_the_fingerprint_that_ssh_keygen_shows(text: str, fingerprint: str) -> None:
    key = parse_public_key(text)

    assert key.fingerprint == fingerprint
    assert key.text == text.strip()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "private key"),
        ("hello", "begins with its type"),
        ("ssh-dss AAAAB3NzaC1kc3M= old", "begins with its type"),
        (f'command="id" {ED25519}', "begins with its type"),
        (f"{ED25519}\n{ED25519}", "one line"),
        ("ssh-ed25519 !!!!", "base64"),
        ("ssh-ed25519 AAAA", "not a key of this type"),
        (ED25519.replace("ssh-ed25519", "ssh-rsa"), "not a key of this type"),
        (ED25519.rpartition(" ")[0][:-4], "not a key of this type"),
        (WEAK, "1024 bits"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAABAAAAAA=", "32 bytes"),
    ],
)
def test_what_is_no_key_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        parse_public_key(text)

    assert refused.value.details["validation_errors"][0]["field"] == "public_key"


async def test_keys_are_added_listed_renamed_and_forgotten(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    second, first = await _add(platform, account, "Work", RSA), await _add(platform, account, "home")
    path = f"/ssh-keys/{first['id']}"

    listed = (await platform.client.get("/ssh-keys", headers=account.headers)).json()
    renamed = await platform.client.put(path, json={"name": "Laptop"}, headers=account.headers)
    shown = (await platform.client.get(path, headers=account.headers)).json()
    foreign = [
        await platform.client.request(method, path, json={"name": "x"}, headers=stranger.headers)
        for method in ("GET", "PUT", "DELETE")
    ]
    deleted = await platform.client.delete(path, headers=account.headers)
    gone = await platform.client.get(path, headers=account.headers)

    assert (first["status_code"], first["fingerprint"]) == (201, FINGERPRINT)
    assert [key["name"] for key in listed] == ["home", "Work"]
    assert renamed.json() == shown
    assert shown["name"] == "Laptop"
    assert [answer.status_code for answer in foreign] == [404] * 3
    assert (deleted.status_code, gone.status_code) == (200, 404)
    assert second["id"] != first["id"]


async def test_a_name_and_a_key_are_kept_once_for_each_account(platform: PlatformUnderTest) -> None:
    account, other = await platform.signup(), await platform.signup()
    await _add(platform, account, "laptop")
    work = await _add(platform, account, "work", RSA)

    same_name = await _add(platform, account, "LAPTOP", ECDSA)
    same_key = await _add(platform, account, "another")
    elsewhere = await _add(platform, other, "laptop")
    renamed = await platform.client.put(f"/ssh-keys/{work['id']}", json={"name": "Laptop"}, headers=account.headers)

    assert (same_name["status_code"], same_name["error_code"]) == (409, "SSH_KEY_TAKEN")
    assert (same_key["status_code"], same_key["error_code"]) == (409, "SSH_KEY_TAKEN")
    assert elsewhere["status_code"] == 201
    assert (renamed.status_code, renamed.json()["error_code"]) == (409, "SSH_KEY_TAKEN")


async def test_an_account_has_so_many_keys_and_no_more(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    async with platform.database.work() as tx:
        rows = [
            {
                "id": tx.new_id(),
                "user_id": UUID(account.id),
                "name": f"k{number}",
                "name_key": f"k{number}",
                "public_key": "k",
                "fingerprint": f"f{number}",
                "created_at": tx.now,
            }
            for number in range(MOST_KEYS)
        ]
        await tx.execute(sa.insert(ssh_keys), rows)

    refused = await _add(platform, account, "one-more")

    assert (refused["status_code"], refused["error_code"]) == (409, "TOO_MANY_SSH_KEYS")


async def test_a_machine_keeps_the_keys_that_it_was_created_with(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    first, second = await _add(platform, account, "laptop"), await _add(platform, account, "work", RSA)

    vm = await platform.given_vm(account, ssh_keys=[second["id"], first["id"], first["id"]])
    await platform.client.delete(f"/ssh-keys/{first['id']}", headers=account.headers)
    after = await platform.get_vm(vm["id"], account)

    async with platform.database.read() as tx:
        row = await VMRepository(tx).find(UUID(vm["id"]))
    assert [key["name"] for key in vm["ssh_keys"]] == ["laptop", "work"]
    assert after["ssh_keys"] == vm["ssh_keys"]
    assert row is not None
    assert row.spec.ssh_keys == (ED25519, RSA)


async def test_keys_of_nobody_or_somebody_else_are_refused_and_nothing_is_made(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    project_id = await platform.given_project(account)
    foreign = await _add(platform, stranger, "theirs")
    body = {"name": "web", "instance_type": "small", "image": "debian-12", "project_id": project_id}

    answers = [
        await platform.client.post("/vms", json={**body, "ssh_keys": keys}, headers=account.headers)
        for keys in ([foreign["id"]], ["42"], ["01890a5d-ac96-774b-bcce-b302099a8057"])
    ]

    assert [(answer.status_code, answer.json()["message"]) for answer in answers] == [(404, "SSH key not found")] * 3
    assert (await platform.client.get("/vms", headers=account.headers)).json()["total_count"] == 0
