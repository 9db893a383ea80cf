"""No write takes what its model does not name, and none turns one type into another.

The models come from the OpenAPI document, so that a new one is tried from its first day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests.support.contents import contents
from tests.support.document import Operation, operations, resolve
from tests.support.platform import Account, PlatformUnderTest
from zentry.monitoring.alerts.schemas import AlertPolicyCreate, SilenceCreate
from zentry.schema.metadata import metadata
from zentry.vms.schemas import SSHKeyCreate
from zentry.vms.templates_schemas import TemplateCreate
from zentry.webhooks.schemas import WebhookCreate

# What a body must never set, beside the columns of every table.
TRAPS: Final = ("__proto__", "constructor", "prototype", "__class__", "__dict__", "$where", "is_admin", "admin", "")
# JSON by its type; the texts are what a lenient parser would take for the other types.
VALUES: Final = {
    "string": ('"text"', '""', '"12"', '"true"', '"null"', '"2026-01-31T12:00:00Z"', '"MQ=="'),
    "integer": ("7", "0", "-1", "12", "99999999999999999999999999"),
    "number": ("7.5", "1e-1"),
    "boolean": ("true", "false"),
    "null": ("null",),
    "array": ("[]", '["text"]', "[7]"),
    "object": ("{}", '{"text": 7}'),
}
SSH_KEY: Final = SSHKeyCreate.model_json_schema()["examples"][0]
POLICY: Final = AlertPolicyCreate.model_json_schema()["examples"][0]
SILENCE: Final = SilenceCreate.model_json_schema()["examples"][0]
WEBHOOK: Final = WebhookCreate.model_json_schema()["examples"][0]
TEMPLATE: Final = TemplateCreate.model_json_schema()["examples"][0]
# Their examples hold a password, a code or a token that is nobody's.
WITH_A_SECRET: Final = {
    "POST /auth/account/deactivate",
    "POST /auth/account/delete",
    "POST /auth/email/confirm",
    "POST /auth/email/verify",
    "POST /auth/login/second-factor",
    "POST /auth/password/reset",
    "POST /auth/reauthenticate",
    "POST /auth/refresh",
    "POST /invitations/accept",
    "POST /auth/second-factor",
    "POST /auth/second-factor/confirm",
    "POST /auth/second-factor/disable",
    "PUT /auth/email",
    "PUT /auth/password",
}
NAMED: Final = 50
"""How many fields an error names; so each one that is sent is refused by its name."""
NO_NUMBERS: Final = ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 5_000)


@pytest.fixture(params=["sqlite"])
def dialect(request: pytest.FixtureRequest) -> str:
    """What is refused here is refused before any statement runs."""
    return str(request.param)


async def test_no_write_takes_a_field_that_its_model_does_not_name(platform: PlatformUnderTest) -> None:
    ada, ids = await _given(platform)
    columns = {column.name for table in metadata.sorted_tables for column in table.columns}
    before = await contents(platform.database)

    for operation in _writes(platform):
        body = {**(operation.example_body or {}), **ids}
        fitting = {name: value for name, value in body.items() if name in _properties(operation)}
        names = sorted({*columns, *TRAPS} - _properties(operation).keys())
        for value in ("admin", None):
            for first in range(0, len(names), NAMED):
                further = dict.fromkeys(names[first : first + NAMED], value)
                answer = await _send(platform, operation, ids, ada, json.dumps({**fitting, **further}))
                _refused(answer, operation)
                told = [(error["field"], error["type"]) for error in _errors(answer)]
                assert told == [(name, "extra_forbidden") for name in further], operation

    assert await contents(platform.database) == before


async def test_no_write_turns_one_type_into_another(platform: PlatformUnderTest) -> None:
    ada, ids = await _given(platform)
    before = await contents(platform.database)
    tried = 0

    for operation in _writes(platform):
        for name, schema in _properties(operation).items():
            wanted = _types(schema, operation.document)
            for kind, texts in VALUES.items():
                if kind in wanted or (kind == "integer" and "number" in wanted):
                    continue
                for text in texts:
                    answer = await _send(platform, operation, ids, ada, _with(operation, ids, name, text))
                    _refused(answer, operation)
                    assert name in {error["field"] for error in _errors(answer)}, (operation, name, text)
                    tried += 1

    assert tried > len(VALUES) * 8
    assert await contents(platform.database) == before


async def test_no_write_takes_a_number_that_is_none(platform: PlatformUnderTest) -> None:
    ada, ids = await _given(platform)
    before = await contents(platform.database)

    for operation in _writes(platform):
        for name in _properties(operation):
            for text in NO_NUMBERS:
                _refused(await _send(platform, operation, ids, ada, _with(operation, ids, name, text)), operation)

    assert await contents(platform.database) == before


async def test_no_write_takes_what_is_not_one_object(platform: PlatformUnderTest) -> None:
    ada, ids = await _given(platform)
    before = await contents(platform.database)

    for operation in _writes(platform):
        example = json.dumps(operation.example_body or {})
        bodies = ("[]", "7", "true", '"text"', "[{}]", f"[[{example}]]", f"{example}{example}")
        needed = operation.what["requestBody"].get("required")
        for body in (*bodies, "") if needed else bodies:
            _refused(await _send(platform, operation, ids, ada, body), operation)

    assert await contents(platform.database) == before


async def test_no_write_takes_a_field_twice(platform: PlatformUnderTest) -> None:
    ada, ids = await _given(platform)
    before = await contents(platform.database)

    for operation in _writes(platform):
        example = _with(operation, ids)
        for name, value in json.loads(example).items():
            answer = await _send(
                platform, operation, ids, ada, f"{{{json.dumps(name)}: {json.dumps(value)}, {example[1:]}"
            )
            _refused(answer, operation)
            assert answer.json()["detail"] == "The body names a member twice."

    assert await contents(platform.database) == before


async def test_every_write_that_has_a_body_is_tried(platform: PlatformUnderTest) -> None:
    assert {str(operation) for operation in _writes(platform)} == {
        "POST /auth/account/deactivate",
        "POST /auth/account/delete",
        "POST /auth/email/confirm",
        "POST /auth/email/verify",
        "POST /auth/login",
        "POST /auth/login/second-factor",
        "POST /auth/password/forgot",
        "POST /auth/password/reset",
        "POST /auth/second-factor",
        "POST /auth/second-factor/confirm",
        "POST /auth/second-factor/disable",
        "PUT /auth/email",
        "PUT /auth/password",
        "POST /auth/reauthenticate",
        "POST /auth/refresh",
        "POST /auth/signup",
        "POST /auth/tokens",
        "POST /billing/credits/add",
        "POST /billing/forecast",
        "POST /billing/quote",
        "PATCH /admin/simulator/hosts/{host_name}",
        "PATCH /templates/{template_id}",
        "POST /admin/simulator/faults",
        "POST /admin/price-lists",
        "POST /admin/users/{user_id}/credits",
        "POST /admin/users/{user_id}/grants",
        "PUT /admin/users/{user_id}/discount",
        "POST /admin/billing/records/{record_id}/refund",
        "POST /admin/vouchers",
        "POST /billing/budgets",
        "POST /billing/vouchers/redeem",
        "PUT /billing/budgets/{budget_id}",
        "PATCH /admin/projects/{project_id}/quotas",
        "PATCH /admin/users/{user_id}/quotas",
        "POST /admin/users/{user_id}/suspend",
        "PUT /admin/users/{user_id}/role",
        "PATCH /vms/{vm_id}",
        "PATCH /alerts/policies/{policy_id}",
        "POST /alerts/policies",
        "POST /alerts/silences",
        "POST /templates",
        "POST /projects",
        "POST /ssh-keys",
        "POST /vms",
        "POST /vms/{vm_id}/rebuild",
        "POST /vms/{vm_id}/resize",
        "POST /vms/{vm_id}/snapshots",
        "PUT /auth/profile",
        "PUT /projects/{project_id}",
        "PATCH /projects/{project_id}/members/{member_id}",
        "POST /projects/{project_id}/invitations",
        "POST /invitations/accept",
        "POST /projects/{project_id}/transfer",
        "PUT /ssh-keys/{key_id}",
        "POST /webhooks",
        "PATCH /webhooks/{webhook_id}",
    }


async def test_the_bodies_that_the_traps_are_put_into_are_taken_without_them(platform: PlatformUnderTest) -> None:
    """Else every trap would be refused for another reason."""
    ada, ids = await _given(platform)

    for operation in _writes(platform):
        if not await _is_taken(platform, operation, ids, ada):
            # What was written before is in its way, so it gets a place of its own.
            ada, ids = await _given(platform)
            assert await _is_taken(platform, operation, ids, ada) or str(operation) in WITH_A_SECRET, operation


async def _is_taken(platform: PlatformUnderTest, operation: Operation, ids: dict[str, str], ada: Account) -> bool:
    if str(operation) == "POST /ssh-keys":
        await platform.client.delete(f"/ssh-keys/{ids['key_id']}", headers=ada.headers)
    taken = (await _send(platform, operation, ids, ada, _with(operation, ids))).is_success
    await platform.settle()
    return taken


async def test_every_write_model_forbids_further_fields_in_the_document(platform: PlatformUnderTest) -> None:
    for operation in _writes(platform):
        assert operation.body_schema is not None
        assert operation.body_schema["additionalProperties"] is False, operation


def _writes(platform: PlatformUnderTest) -> Iterator[Operation]:
    return (operation for operation in operations(platform) if operation.body_schema is not None)


def _properties(operation: Operation) -> dict[str, Any]:
    assert operation.body_schema is not None
    return dict(operation.body_schema["properties"])


def _types(schema: dict[str, Any], document: dict[str, Any]) -> set[str]:
    schema = resolve(schema, document)
    if "anyOf" in schema:
        return {kind for choice in schema["anyOf"] for kind in _types(choice, document)}
    return {str(schema["type"])}


async def _given(platform: PlatformUnderTest) -> tuple[Account, dict[str, str]]:
    """An administrator, so that nothing is refused for who asks."""
    ada = await platform.given_admin()
    project_id = await platform.given_project(ada)
    vm = await platform.given_vm(ada, project_id=project_id)
    kept = await platform.client.post("/ssh-keys", json=SSH_KEY, headers=ada.headers)
    template = await platform.client.post("/templates", json={**TEMPLATE, "name": "given"}, headers=ada.headers)
    policy = await platform.client.post("/alerts/policies", json={**POLICY, "name": "given"}, headers=ada.headers)
    silence = await platform.client.post("/alerts/silences", json=SILENCE, headers=ada.headers)
    webhook = await platform.client.post("/webhooks", json=WEBHOOK, headers=ada.headers)
    lines = await platform.client.get("/billing/history?action_type=vm_create", headers=ada.headers)
    voucher = await platform.client.post("/admin/vouchers", json={"amount": 1, "reason": "x"}, headers=ada.headers)
    budget = {"name": "given", "amount": 1, "thresholds": [{"percent": 100}]}
    kept_budget = await platform.client.post("/billing/budgets", json=budget, headers=ada.headers)
    member = await platform.given_member(ada, project_id, role="member")
    return ada, {
        "voucher_code": str(voucher.json()["code"]),
        "budget_id": str(kept_budget.json()["id"]),
        "record_id": str(lines.json()["items"][0]["id"]),
        "project_id": project_id,
        "member_id": member.id,
        "vm_id": str(vm["id"]),
        "key_id": str(kept.json()["id"]),
        "template_id": str(template.json()["id"]),
        "policy_id": str(policy.json()["id"]),
        "silence_id": str(silence.json()["id"]),
        "webhook_id": str(webhook.json()["id"]),
        "host_name": "host-1",
        "user_id": member.id,
    }


def _with(operation: Operation, ids: dict[str, str], name: str = "", text: str = "") -> str:
    """Return the example with the ids of what is there, and `text` as one field."""
    known = _properties(operation)
    body = {key: value for key, value in {**(operation.example_body or {}), **ids}.items() if key in known}
    members = {key: json.dumps(value) for key, value in body.items()} | ({name: text} if name else {})
    return "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in members.items()) + "}"


async def _send(
    platform: PlatformUnderTest, operation: Operation, ids: dict[str, str], account: Account, body: str
) -> httpx.Response:
    return await platform.client.request(
        operation.method,
        operation.path.format(**ids),
        content=body,
        headers={**account.headers, "Content-Type": "application/json"},
    )


def _refused(answer: httpx.Response, operation: Operation) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), (
        operation,
        answer.request.content,
        answer.text,
    )
    told = answer.json()
    assert (told["success"], told["error_code"], told["detail"]) == (False, "VALIDATION_ERROR", told["message"])


def _errors(answer: httpx.Response) -> list[dict[str, str]]:
    return list(answer.json()["details"]["validation_errors"])
