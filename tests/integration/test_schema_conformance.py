"""The server does what its OpenAPI document says, tried with thousands of requests that a fuzzer made from it.

The program runs as it is installed; schemathesis reads the document that it serves and runs all of its checks
in all of its phases, on every operation. An administrator asks, so that every operation can be reached, and a second
account must not see what is the first one's. What lies in the database afterwards must be in order.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.fuzzing import OWNER, PASSWORD, PEER, Preparation, sign_up_owner
from tests.support.program import environment, run, serving
from zentry.invariants import broken_invariants
from zentry.platform.settings import Settings
from zentry.wiring import open_platform

HOOKS: Final = Path(__file__).parents[1] / "support" / "schemathesis_hooks.py"
SCHEMATHESIS: Final = Path(sys.prefix) / "bin" / "schemathesis"
SETTINGS: Final[dict[str, Any]] = {
    # Hundreds of wrong passwords are sent; a pause of a quarter of an hour would end what can be tried.
    "security": {"bcrypt_cost": 4, "login_failures": 100, "login_pause_seconds": 1, "proof_seconds": 86_400},
    "limits": {
        "signin_per_minute": 0,
        "writes_per_minute": 0,
        "reads_per_minute": 0,
        "anonymous_per_minute": 0,
        "vouchers_per_minute": 0,
    },
    "billing": {"welcome_credits": 10_000, "max_balance": 1_000_000_000},
    "quotas": {"projects_per_user": 100_000, "vms_per_user": 1_000_000, "vms_per_project": 1_000_000},
    "simulator": {"hosts": 1000, "boot_seconds": 0, "action_seconds": 0},
    "operations": {"wait_seconds": 0.05, "max_attempts": 100, "deadline_seconds": 86_400},
    "events": {"stream_seconds": 0.02},
    "webhooks": {"allowed_networks": ["127.0.0.0/8"], "webhooks_per_account": 10_000},
}
PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried, beside every example and every edge of every schema, which are always."""

    fuzzed: int
    """Random requests for each operation."""
    scenarios: int
    """Walks along the links."""
    methods: tuple[str, ...] = ()
    """Which methods are tried where a path does not know them; all where none is named."""
    at_least: int = 1_000
    """Requests in all."""


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_thousand_requests_find_the_server_as_its_document_says(database_url: str, tmp_path: Path) -> None:
    await _conforms(database_url, tmp_path, Effort(fuzzed=4, scenarios=20, methods=("patch", "trace")), seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(101, 109))
async def test_ten_thousand_requests_find_the_server_as_its_document_says(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    await _conforms(database_url, tmp_path, Effort(fuzzed=250, scenarios=250, at_least=10_000), seed=seed)


async def _conforms(database_url: str, directory: Path, effort: Effort, *, seed: int) -> None:
    settings = Settings(
        _env_file=None, env="test", data_dir=directory / "data", database={"url": database_url}, **SETTINGS
    )
    invited = await sign_up_owner(settings)
    report = await asyncio.to_thread(_fuzz, database_url, directory, invited, effort, seed)

    output = (directory / "schemathesis.txt").read_text(encoding="utf-8")
    print(f"seed {seed}, {effort.fuzzed} random requests per operation: {report['test_cases']}")
    assert report["failures"] == [], output
    assert report["errors"] == [], output
    assert {name: found for name, found in report["warnings"].items() if found} == {}, output
    assert report["operations"]["tested"] == report["operations"]["total"], output
    assert {phase: report["phases"][phase]["status"] for phase in PHASES} == dict.fromkeys(PHASES, "success"), output
    assert report["filtered"] == 0
    assert report["test_cases"]["generated"] >= effort.at_least
    assert report["exit_code"] == 0, output
    async with open_platform(settings) as platform:
        assert await broken_invariants(platform.database) == []


def _fuzz(
    database_url: str, directory: Path, invited: list[dict[str, str]], effort: Effort, seed: int
) -> dict[str, Any]:
    """Run schemathesis against the program; return its report."""
    settings = {
        "ZENTRY_ENV": "test",
        "ZENTRY_DATABASE__URL": database_url,
        "ZENTRY_DATA_DIR": str(directory / "data"),
        **{
            f"ZENTRY_{group}__{name}".upper(): json.dumps(value)
            for group, fields in SETTINGS.items()
            for name, value in fields.items()
        },
    }
    made = run(
        "admin", "create", "--email", OWNER, "--password-stdin", cwd=directory, given=f"{PASSWORD}\n", **settings
    )
    assert made.returncode == 0, made.stderr
    with serving(cwd=directory, **settings) as server:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            given = Preparation(client, directory / "data" / "mail").prepare(invited=invited)
        (directory / "given.json").write_text(json.dumps(asdict(given)), encoding="utf-8")
        (directory / "accounts.json").write_text(json.dumps(_accounts()), encoding="utf-8")
        (directory / "schemathesis.toml").write_text(
            _configuration(directory, given.ids, effort, seed), encoding="utf-8"
        )
        done = subprocess.run(
            [SCHEMATHESIS, "--config-file", directory / "schemathesis.toml", "run", f"{server.url}/openapi.json"],
            cwd=directory,
            env=environment(PYTHONDONTWRITEBYTECODE="1", FUZZING_GIVEN=str(directory / "given.json")),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        (directory / "schemathesis.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        report: dict[str, Any] = json.loads((directory / "report.json").read_text(encoding="utf-8"))
        return report


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


PLACES: Final = (
    "path.operation_id",
    "path.vm_id",
    "query.vm_id",
    "path.project_id",
    "query.project_id",
    "body.project_id",
    "body.refresh_token",
    "query.refresh_token",
    "path.token_id",
    "path.silence_id",
    "path.policy_id",
    "path.statement_id",
    "path.snapshot_id",
    "path.record_id",
    "path.session_id",
    "path.webhook_id",
    "body.ends_at",
)


def _configuration(directory: Path, known: dict[str, list[str]], effort: Effort, seed: int) -> str:
    lines = [
        f"seed = {seed}",
        f"hooks = {json.dumps(str(HOOKS))}",
        "continue-on-failure = true",
        "request-timeout = 60",
        "generation.database = 'none'",
        f"generation.max-examples = {effort.scenarios}",
        f"phases.fuzzing.generation.max-examples = {effort.fuzzed}",
        *([f"phases.coverage.unexpected-methods = {json.dumps(effort.methods)}"] if effort.methods else []),
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
        *(f'"{place}" = {{ dictionary = "{place.partition(".")[2]}", probability = 0.7 }}' for place in PLACES),
    ]
    return "\n".join(lines)
