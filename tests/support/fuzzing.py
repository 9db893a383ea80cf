"""What the fuzzer is given before it begins: things that are there, and turns that only a person could take.

Ids are by the name of the parameter or field that they are for. The fuzzer draws from them, and they take the place
of those in the examples. A turn is for a request that needs what no document can say: the right password, the token
of a mail, two ids that belong together, an account that may be lost.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from zentry.platform.clock import ManualClock
from zentry.platform.settings import Settings
from zentry.wiring import open_platform

PASSWORD: Final = "correct-horse-battery-7"
OWNER: Final = "owner@example.com"
PEER: Final = "peer@example.com"
_AGE: Final = timedelta(days=32)
_ONCE: Final = 2
"""How many turns there are of what can be done once only."""
_NOBODY: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
_WISH: Final = {"instance_type": "small", "image": "debian-12"}
_INVITATION: Final = "You are invited to a project"
_MAIL_SECONDS: Final = 60


@dataclass(slots=True)
class Given:
    """Ids by the name of what they are for, and turns by operation."""

    ids: dict[str, list[str]] = field(default_factory=dict)
    turns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


async def sign_up_owner(settings: Settings) -> list[dict[str, str]]:
    """Give the owner an account that is older than this month, so that there is a statement.

    Return invitations whose mails were written more than a minute ago, so that they can be sent again.
    """
    clock = ManualClock(datetime.now(UTC) - _AGE)
    async with (
        open_platform(settings, clock=clock) as platform,
        httpx.AsyncClient(transport=httpx.ASGITransport(platform.app), base_url="http://test") as client,
    ):
        person = {"email": OWNER, "name": "Owner", "password": PASSWORD}
        _ok(await client.post("/auth/signup", json=person))
        clock.advance(_AGE - timedelta(minutes=2))
        token = _ok(await client.post("/auth/login", json={"email": OWNER, "password": PASSWORD}))["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        project = _ok(await client.post("/projects", json={"name": "invited"}))["id"]
        path = f"/projects/{project}/invitations"
        invited = [_ok(await client.post(path, json={"email": f"invited{n}@example.com"}))["id"] for n in range(_ONCE)]
    return [{"project_id": project, "invitation_id": one} for one in invited]


class Preparation:
    """Makes it all over HTTP, as its owner and some guests."""

    def __init__(self, client: httpx.Client, mails: Path) -> None:
        self._client = client
        self._mails = mails
        self._given = Given()
        self._guests = 0
        self._owner = self._login(OWNER)
        self._sign_up(PEER)

    def prepare(self, *, invited: list[dict[str, str]]) -> Given:
        """Return what was made, and what was made before."""
        self._turns(
            "POST /projects/{project_id}/invitations/{invitation_id}/resend", ({"path": one} for one in invited)
        )
        self._make_machines()
        self._make_belongings()
        self._take_turns_of_accounts()
        self._take_turns_of_links()
        self._take_turns_of_second_factors()
        self._take_turns_of_projects()
        self._take_turns_of_operations()
        return self._given

    def _make_machines(self) -> None:
        ids = self._given.ids
        ids["project_id"] = projects = [self._project(f"given {n}") for n in range(8)]
        ids["vm_id"] = [self._machine(f"given-{n}", projects[n % 4], stopped=n % 2 == 0) for n in range(12)]
        ids["operation_id"] = [str(one["id"]) for one in self._ask("GET", "/operations?limit=50")["operations"]]
        project = self._project("kept")  # It is not among those that the fuzzer deletes.
        kept = [self._machine(f"kept-{n}", project) for n in range(3 * _ONCE)]
        taken = [self._post(f"/vms/{machine}/snapshots", {"name": "given"}) for machine in kept]
        paths = [{"vm_id": one["vm_id"], "snapshot_id": one["id"]} for one in taken]
        ids["snapshot_id"] = [path["snapshot_id"] for path in paths[:_ONCE]]
        self._turns(
            "POST /vms/{vm_id}/snapshots/{snapshot_id}/restore", ({"path": one} for one in paths[_ONCE:][:_ONCE])
        )
        self._turns(
            "DELETE /snapshots/{snapshot_id}",
            ({"path": {"snapshot_id": one["snapshot_id"]}} for one in paths[2 * _ONCE :]),
        )
        ids["record_id"] = self._until(
            lambda: [str(one["id"]) for one in self._ask("GET", "/billing/history?action_type=vm_create")["items"]]
        )

    def _make_belongings(self) -> None:
        ids, soon = self._given.ids, (datetime.now(UTC) + timedelta(days=7)).isoformat()
        ids["ends_at"] = [soon]
        ids["refresh_token"] = [str(self._guest()["refresh_token"]) for _ in range(10)]
        for _ in range(_ONCE):
            self._login(OWNER)
        ids["session_id"] = [str(one["id"]) for one in self._ask("GET", "/auth/sessions") if not one["is_current"]]
        scopes = {"scopes": ["vms:read"]}
        ids["token_id"] = [str(self._post("/auth/tokens", {**scopes, "name": f"given {n}"})["id"]) for n in range(8)]
        ids["silence_id"] = [str(self._post("/alerts/silences", {"ends_at": soon})["id"]) for _ in range(8)]
        policy_ = {"source": "metric", "subject": "cpu_usage"}
        ids["policy_id"] = [
            str(self._post("/alerts/policies", {**policy_, "name": f"given {n}"})["id"]) for n in range(8)
        ]
        ids["statement_id"] = self._until(
            lambda: [str(one["id"]) for one in self._ask("GET", "/billing/statements")["statements"]]
        )
        voucher = {"amount": 1, "reason": "given", "max_redemptions": 100}
        target = {"url": "https://127.0.0.1:9/", "kinds": ["vm."]}
        webhook = str(self._post("/webhooks", target)["id"])
        ids["webhook_id"] = [webhook]
        path = {"webhook_id": webhook, "delivery_id": str(self._post(f"/webhooks/{webhook}/ping")["id"])}
        for operation in ("GET {}", "POST {}/redeliver"):
            name = operation.format("/webhooks/{webhook_id}/deliveries/{delivery_id}")
            self._turns(name, [{"path": path, "again": True}])
        fault = {"kind": "slow", "vm_id": _NOBODY}
        self._turns(
            "DELETE /admin/simulator/faults/{fault_id}",
            ({"path": {"fault_id": self._post("/admin/simulator/faults", fault)["id"]}} for _ in range(_ONCE)),
        )
        # A host that goes down takes nobody with it.
        self._turns("PATCH /admin/simulator/hosts/{host_name}", [{"path": {"host_name": "host-999"}, "again": True}])
        codes = [str(self._post("/admin/vouchers", voucher)["code"]) for _ in range(_ONCE)]
        self._turns("POST /billing/vouchers/redeem", ({"body": {"voucher_code": code}} for code in codes))

    def _take_turns_of_accounts(self) -> None:
        known = {"email": OWNER, "password": PASSWORD}
        self._turns("POST /auth/login", [{"body": known, "again": True}])
        for operation, name in (
            ("POST /auth/account/deactivate", "password"),
            ("POST /auth/account/delete", "password"),
            ("PUT /auth/password", "current_password"),
        ):
            self._turns(operation, (self._as(self._guest(), {name: PASSWORD}) for _ in range(_ONCE)))
        for operation in ("PUT /auth/email", "POST /auth/second-factor"):
            self._turns(operation, [{**self._as(self._guest(), {"password": PASSWORD}), "again": True}])
        proof = {"password": PASSWORD, "code": None}
        self._turns("POST /auth/reauthenticate", [{**self._as(self._guest(), proof), "again": True}])
        self._turns("DELETE /auth/sessions", [{**self._as(self._guest()), "again": True}])
        # Nobody whom the fuzzer needs is suspended or signed out, and nobody else becomes an administrator who stays.
        path = {"user_id": str(self._guest()["user"]["id"])}
        for operation in ("POST {}/suspend", "POST {}/sign-out", "PUT {}/role", "PATCH {}/quotas"):
            self._turns(operation.format("/admin/users/{user_id}"), [{"path": path, "again": True}])

    def _take_turns_of_links(self) -> None:
        for n in range(_ONCE):
            guest = self._guest()
            email = str(guest["user"]["email"])
            self._ask("POST", "/auth/email/verification", token=guest["access_token"])
            self._post("/auth/password/forgot", {"email": email})
            changed = {"email": f"changed{n}@example.com", "password": PASSWORD}
            self._ask("PUT", "/auth/email", changed, token=self._guest()["access_token"])
            for operation, subject, to in (
                ("POST /auth/email/verify", "Confirm your e-mail address", email),
                ("POST /auth/password/reset", "Choose another password", email),
                ("POST /auth/email/confirm", "Confirm your new e-mail address", changed["email"]),
            ):
                self._turns(operation, [{"body": {"token": self._mailed(to, subject)}}])

    def _take_turns_of_second_factors(self) -> None:
        for operation in ("POST /auth/login/second-factor", "POST /auth/second-factor/disable"):
            for _ in range(_ONCE):
                guest = self._guest()
                token = str(guest["access_token"])
                secret = self._ask("POST", "/auth/second-factor", {"password": PASSWORD}, token=token)["secret"]
                body = {"code": _one_time_code(str(secret))}
                code = self._ask("POST", "/auth/second-factor/confirm", body, token=token)["recovery_codes"][0]
                if operation.endswith("disable"):
                    self._turns(operation, [self._as(guest, {"password": PASSWORD, "code": code})])
                    continue
                answer = self._client.post("/auth/login", json={"email": guest["user"]["email"], "password": PASSWORD})
                challenge = answer.json()["details"]["challenge"]
                self._turns(operation, [{"body": {"challenge": challenge, "code": code}}])
        guest = self._guest()
        secret = self._ask("POST", "/auth/second-factor", {"password": PASSWORD}, token=guest["access_token"])["secret"]
        self._turns("POST /auth/second-factor/confirm", [{**self._as(guest, {}), "secret": secret}])

    def _take_turns_of_projects(self) -> None:
        for n in range(_ONCE):
            project, member, guest = self._shared_project(f"shared {n}")
            path = {"project_id": project, "member_id": member}
            self._turns("DELETE /projects/{project_id}/members/{member_id}", [{"path": path}])
            project, member, guest = self._shared_project(f"kept {n}")
            path = {"project_id": project, "member_id": member}
            self._turns("PATCH /projects/{project_id}/members/{member_id}", [{"path": path, "again": True}])
            offer = {"path": {"project_id": project}, "body": {"member_id": member}, "again": True}
            self._turns("POST /projects/{project_id}/transfer", [offer])
            self._turns("DELETE /projects/{project_id}/transfer", [{"path": self._offered(f"offered {n}")[0]}])
            path, guest = self._offered(f"handed over {n}")
            self._turns("POST /projects/{project_id}/transfer/accept", [{**self._as(guest), "path": path}])
            path, _ = self._invited(project)
            self._turns("DELETE /projects/{project_id}/invitations/{invitation_id}", [{"path": path}])
            _, guest = self._invited(project)
            token = self._mailed(guest["user"]["email"], _INVITATION)
            self._turns("POST /invitations/accept", [self._as(guest, {"token": token})])
        path, _ = self._offered("shown")
        self._turns("GET /projects/{project_id}/transfer", [{"path": path, "again": True}])

    def _take_turns_of_operations(self) -> None:
        """Keep starts under way: their hosts do not answer, so that they wait for their next try."""
        project = self._project("under way")
        for operation in (
            "POST /operations/{operation_id}/cancel",
            "POST /admin/operations/{operation_id}/cancel",
            "POST /admin/operations/{operation_id}/retry",
        ):
            for n in range(_ONCE):
                name = f"late-{len(self._given.turns)}-{n}"
                machine = self._machine(name, project)
                fault = {"action": "ensure_running", "kind": "unavailable", "vm_id": machine, "count": None}
                self._post("/admin/simulator/faults", fault)
                started = self._client.post(f"/vms/{machine}/start", headers=self._owner)
                self._turns(operation, [{"path": {"operation_id": started.json()["data"]["operation_id"]}}])

    def _turns(self, operation: str, turns: Any) -> None:
        self._given.turns.setdefault(operation, []).extend(turns)

    def _as(self, who: dict[str, Any], body: dict[str, Any] | None = None) -> dict[str, Any]:
        turn = {"token": who["access_token"]}
        return turn if body is None else {**turn, "body": body}

    def _login(self, email: str) -> dict[str, str]:
        token = _ok(self._client.post("/auth/login", json={"email": email, "password": PASSWORD}))["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def _guest(self) -> dict[str, Any]:
        self._guests += 1
        return self._sign_up(f"given{self._guests}@example.com")

    def _sign_up(self, email: str) -> dict[str, Any]:
        person = {"email": email, "name": "Given", "password": PASSWORD}
        return dict(_ok(self._client.post("/auth/signup", json=person)))

    def _machine(self, name: str, project: str, *, stopped: bool = True) -> str:
        machine = str(self._post("/vms", {**_WISH, "name": name, "project_id": project})["id"])
        assert not stopped or self._post(f"/vms/{machine}/stop")["success"]
        return machine

    def _project(self, name: str) -> str:
        return str(self._post("/projects", {"name": name})["id"])

    def _invited(self, project: str) -> tuple[dict[str, str], dict[str, Any]]:
        guest = self._guest()
        invitation = self._post(f"/projects/{project}/invitations", {"email": guest["user"]["email"]})
        return {"project_id": project, "invitation_id": str(invitation["id"])}, guest

    def _shared_project(self, name: str) -> tuple[str, str, dict[str, Any]]:
        project = self._project(name)
        _, guest = self._invited(project)
        token = self._mailed(guest["user"]["email"], _INVITATION)
        self._ask("POST", "/invitations/accept", {"token": token}, token=guest["access_token"])
        return project, str(guest["user"]["id"]), guest

    def _offered(self, name: str) -> tuple[dict[str, str], dict[str, Any]]:
        project, member, guest = self._shared_project(name)
        self._post(f"/projects/{project}/transfer", {"member_id": member})
        return {"project_id": project}, guest

    def _post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return dict(self._ask("POST", path, body))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {**self._owner, "Prefer": "wait=10"}
        return _ok(self._client.request(method, path, json=body, headers=headers))

    def _mailed(self, to: str, subject: str) -> str:
        """Return the token of the last mail of this kind to somebody."""

        def tokens() -> list[str]:
            return [
                token
                for mail in sorted(self._mails.glob("*.eml"))
                for token in _tokens(mail.read_bytes(), to=to, subject=subject)
            ]

        return self._until(tokens)[-1]

    def _until(self, found: Callable[[], list[str]]) -> list[str]:
        deadline = time.monotonic() + _MAIL_SECONDS
        while not (there := found()):
            assert time.monotonic() < deadline, "a worker was to do it long ago"
            time.sleep(0.02)
        return there


def _one_time_code(secret: str) -> str:
    """Return the code that an authenticator shows now (RFC 6238)."""
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(int(time.time())).decode()


def _tokens(mail: bytes, *, to: str, subject: str) -> Iterator[str]:
    message = message_from_bytes(mail, policy=policy.default)
    if (message["To"], message["Subject"]) == (to, subject):
        yield from re.findall(r"\bz[il]_[A-Za-z0-9_-]{43}", message.get_content())


def _ok(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()
