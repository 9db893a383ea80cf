"""The server does what its OpenAPI document says, tried with thousands of requests that a fuzzer made from it.

The program runs as it is installed; schemathesis reads the document that it serves and runs all of its checks
in all of its phases. What two lists below except is still to be said by the document. An administrator asks, so
that every operation can be reached, and a second account must not see what is the first one's. What lies in the
database afterwards must be in order.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.program import environment, run, serving
from zentry.invariants import broken_invariants
from zentry.platform.settings import Settings
from zentry.wiring import open_platform

PASSWORD: Final = "correct-horse-battery-7"
OWNER: Final = "owner@example.com"
PEER: Final = "peer@example.com"
HOOKS: Final = Path(__file__).parents[1] / "support" / "schemathesis_hooks.py"
SCHEMATHESIS: Final = Path(sys.prefix) / "bin" / "schemathesis"
SETTINGS: Final = {
    "ZENTRY_ENV": "test",
    "ZENTRY_SECURITY__BCRYPT_COST": "4",
    "ZENTRY_SECURITY__LOGIN_FAILURES": "100",
    "ZENTRY_SECURITY__PROOF_SECONDS": "86400",
    "ZENTRY_LIMITS__SIGNIN_PER_MINUTE": "0",
    "ZENTRY_LIMITS__WRITES_PER_MINUTE": "0",
    "ZENTRY_LIMITS__READS_PER_MINUTE": "0",
    "ZENTRY_BILLING__WELCOME_CREDITS": "10000",
    "ZENTRY_BILLING__MAX_BALANCE": "1000000000",
    "ZENTRY_QUOTAS__PROJECTS_PER_USER": "100000",
    "ZENTRY_QUOTAS__VMS_PER_USER": "1000000",
    "ZENTRY_QUOTAS__VMS_PER_PROJECT": "1000000",
    "ZENTRY_SIMULATOR__HOSTS": "1000",
    "ZENTRY_SIMULATOR__BOOT_SECONDS": "0",
    "ZENTRY_SIMULATOR__ACTION_SECONDS": "0",
    "ZENTRY_OPERATIONS__WAIT_SECONDS": "0.05",
    "ZENTRY_EVENTS__STREAM_SECONDS": "0.02",
    "ZENTRY_WEBHOOKS__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
    "ZENTRY_WEBHOOKS__WEBHOOKS_PER_ACCOUNT": "10000",
}
# Rules that their schemas do not say yet: one field needs another, an instant lies in the future, a password or a
# link is the right one. What breaks them is answered with a documented 400.
RULES_BEYOND_THE_SCHEMA: Final = (
    "GET /admin/operations",
    "GET /billing/usage",
    "GET /events/stream",
    "GET /monitoring/projects/{project_id}/series",
    "GET /monitoring/series",
    "GET /monitoring/vms/{vm_id}/series",
    "POST /admin/billing/records/{record_id}/refund",
    "POST /admin/vouchers",
    "POST /alerts/policies",
    "PATCH /alerts/policies/{policy_id}",
    "POST /alerts/silences",
    "POST /auth/account/deactivate",
    "POST /auth/account/delete",
    "POST /auth/email/confirm",
    "POST /auth/email/verify",
    "POST /auth/login/second-factor",
    "POST /auth/password/reset",
    "POST /auth/second-factor",
    "POST /auth/second-factor/disable",
    "POST /auth/tokens",
    "POST /billing/budgets",
    "PUT /auth/email",
    "PUT /auth/password",
    "PUT /billing/budgets/{budget_id}",
)
# What the fuzzer does not come to with an id that is there. For these and those above its warnings are known, and off.
NOT_REACHED: Final = (
    # Only what is under way can be cancelled, and nothing stays under way until the fuzzer comes to it.
    "POST /operations/{operation_id}/cancel",
    # An account of the fuzzer closes itself or changes its password, and cannot sign in again.
    "POST /auth/login",
    "DELETE /alerts/silences/{silence_id}",
    "DELETE /auth/tokens/{token_id}",
    "DELETE /projects/{project_id}/members/{member_id}",
    "DELETE /projects/{project_id}/transfer",
    "GET /auth/tokens/{token_id}",
    "GET /billing/statements/{statement_id}",
    "GET /billing/statements/{statement_id}/csv",
    "GET /billing/statements/{statement_id}/html",
    "GET /billing/statements/{statement_id}/lines",
    "GET /projects/{project_id}/transfer",
    "PATCH /projects/{project_id}/members/{member_id}",
    "POST /admin/operations/{operation_id}/cancel",
    "POST /admin/operations/{operation_id}/retry",
    "POST /alerts/policies/{policy_id}/test",
    "POST /auth/tokens/{token_id}/rotate",
    "POST /billing/vouchers/redeem",
    "POST /invitations/accept",
    "POST /projects/{project_id}/invitations/{invitation_id}/resend",
    "POST /projects/{project_id}/transfer",
    "POST /projects/{project_id}/transfer/accept",
)
PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_thousand_requests_find_the_server_as_its_document_says(database_url: str, tmp_path: Path) -> None:
    await _conforms(database_url, tmp_path, examples=20, seed=1, at_least=1_000)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(101, 109))
async def test_ten_thousand_requests_find_the_server_as_its_document_says(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    await _conforms(database_url, tmp_path, examples=250, seed=seed, at_least=10_000)


async def _conforms(database_url: str, directory: Path, *, examples: int, seed: int, at_least: int) -> None:
    report = await asyncio.to_thread(_fuzz, database_url, directory, examples=examples, seed=seed)

    output = (directory / "schemathesis.txt").read_text(encoding="utf-8")
    print(f"seed {seed}, {examples} examples per operation: {report['test_cases']}")
    assert report["failures"] == [], output
    assert report["errors"] == [], output
    assert {name: found for name, found in report["warnings"].items() if found} == {}, output
    assert report["operations"]["tested"] == report["operations"]["total"], output
    assert {phase: report["phases"][phase]["status"] for phase in PHASES} == dict.fromkeys(PHASES, "success"), output
    assert report["filtered"] == 0
    assert report["test_cases"]["generated"] >= at_least
    assert report["exit_code"] == 0, output
    settings = Settings(_env_file=None, data_dir=directory / "data", database={"url": database_url})
    async with open_platform(settings) as platform:
        assert await broken_invariants(platform.database) == []


def _fuzz(database_url: str, directory: Path, *, examples: int, seed: int) -> dict[str, Any]:
    """Run schemathesis against the program; return its report."""
    settings = {**SETTINGS, "ZENTRY_DATABASE__URL": database_url, "ZENTRY_DATA_DIR": str(directory / "data")}
    made = run(
        "admin", "create", "--email", OWNER, "--password-stdin", cwd=directory, given=f"{PASSWORD}\n", **settings
    )
    assert made.returncode == 0, made.stderr
    with serving(cwd=directory, **settings) as server:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            known = _known(client)
        (directory / "accounts.json").write_text(json.dumps(_accounts()), encoding="utf-8")
        (directory / "schemathesis.toml").write_text(
            _configuration(directory, known, examples=examples, seed=seed), encoding="utf-8"
        )
        done = subprocess.run(
            [SCHEMATHESIS, "--config-file", directory / "schemathesis.toml", "run", f"{server.url}/openapi.json"],
            cwd=directory,
            env=environment(PYTHONDONTWRITEBYTECODE="1"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        (directory / "schemathesis.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        report: dict[str, Any] = json.loads((directory / "report.json").read_text(encoding="utf-8"))
        return report


def _known(client: httpx.Client) -> dict[str, list[str]]:
    """Make what the fuzzer may draw ids and tokens from: machines that run and stand, projects, sessions."""
    owner = _ok(client.post("/auth/login", json={"email": OWNER, "password": PASSWORD}))
    client.headers = {"Authorization": f"Bearer {owner['access_token']}", "Prefer": "wait=10"}
    projects = [str(_ok(client.post("/projects", json={"name": f"given {n}"}))["id"]) for n in range(10)]
    wish = {"instance_type": "small", "image": "debian-12"}
    machines = [
        str(_ok(client.post("/vms", json={**wish, "name": f"given-{n}", "project_id": projects[n % 5]}))["id"])
        for n in range(40)
    ]
    for machine in machines[::2]:
        assert _ok(client.post(f"/vms/{machine}/stop"))["success"]
    addresses = (PEER, *(f"given{n}@example.com" for n in range(100)))
    people = [
        _ok(client.post("/auth/signup", json={"email": address, "name": "Given", "password": PASSWORD}))
        for address in addresses
    ]
    listed = _ok(client.get("/operations?limit=50"))["operations"]
    return {
        "projects": projects,
        "vms": machines,
        "operations": [str(one["id"]) for one in listed],
        "refresh": [str(one["refresh_token"]) for one in people[1:]],
    }


def _ok(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    return dict(answer.json())


def _accounts() -> dict[str, Any]:
    """Say how to sign in, in the format of Web Fuzzing Commons; a token that logout has ended is replaced."""
    return {
        "authTemplate": {
            "loginEndpointAuth": {
                "endpoint": "/auth/login",
                "verb": "POST",
                "contentType": "application/json",
                "payloadUserPwd": {"usernameField": "email", "passwordField": "password", "password": PASSWORD},
                "token": {
                    "extractFrom": "body",
                    "extractSelector": "/access_token",
                    "sendIn": "header",
                    "sendName": "Authorization",
                    "sendTemplate": "Bearer {token}",
                },
            }
        },
        "auth": [{"name": name, "loginEndpointAuth": {"payloadUserPwd": {"username": name}}} for name in (OWNER, PEER)],
    }


def _configuration(directory: Path, known: dict[str, list[str]], *, examples: int, seed: int) -> str:
    drawn_from = {
        "path.operation_id": "operations",
        "path.vm_id": "vms",
        "query.vm_id": "vms",
        "path.project_id": "projects",
        "query.project_id": "projects",
        "body.project_id": "projects",
        "body.refresh_token": "refresh",
        "query.refresh_token": "refresh",
    }
    lines = [
        f"seed = {seed}",
        f"hooks = {json.dumps(str(HOOKS))}",
        "continue-on-failure = true",
        "generation = { database = 'none', max-examples = %d }" % examples,  # noqa: UP031 - braces belong to TOML
        "checks = { enabled = true }",
        "cache = { enabled = false }",
        "warnings = { fail-on = true }",
        f"reports.json = {{ enabled = true, path = {json.dumps(str(directory / 'report.json'))} }}",
        "[auth]",
        "auto-signup = false",
        "[auth.wfc]",
        f"path = {json.dumps(str(directory / 'accounts.json'))}",
        f"user = '{OWNER}'",
        f"peers = ['{OWNER}', '{PEER}']",
        *(f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in known.items()),
        "[parameters]",
        *(f'"{place}" = {{ dictionary = "{name}", probability = 0.7 }}' for place, name in drawn_from.items()),
        *(_settings_of(name) for name in sorted({*RULES_BEYOND_THE_SCHEMA, *NOT_REACHED})),
    ]
    return "\n".join(lines)


def _settings_of(operation: str) -> str:
    """Say what is known of an operation, as a table of the configuration."""
    lines = ["[[operations]]", f"include-name = '{operation}'", "warnings = false"]
    if operation in RULES_BEYOND_THE_SCHEMA:
        accepted = "['2xx', '3xx', '400', '401', '403', '404', '409', '429', '5xx']"
        lines.append(f"checks = {{ positive_data_acceptance = {{ expected-statuses = {accepted} }} }}")
    return "\n".join(lines)
