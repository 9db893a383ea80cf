"""Secrets that were planted are looked for in the log, in every answer, and in the list of processes."""

from __future__ import annotations

from pathlib import Path

import httpx
import psutil

from tests.support.program import serving

KEY = "canary-signing-8f1c2d3e4b5a69788796a5b4c3d2e1f0"
SEAL = "canary-sealing-0f1e2d3c4b5a69788796a5b4c3d2e1f8"
PASSWORD = "canary-password-correct-horse"
WRONG = "canary-password-wrong-horse"
SCRIPT = "#cloud-config\nchpasswd: canary-userdata-secret\n"
TOKEN = "canary.bearer.token"


def test_no_secret_is_in_the_log_in_an_answer_or_in_the_list_of_processes(tmp_path: Path) -> None:
    settings = {
        "ZENTRY_SECURITY__SIGNING_KEY": KEY,
        "ZENTRY_SECURITY__ENCRYPTION_KEYS": f'["{SEAL}"]',
        "ZENTRY_SECURITY__BCRYPT_COST": "4",
        "ZENTRY_LOG__LEVEL": "debug",
        "ZENTRY_LOG__FORMAT": "json",
    }
    said: list[str] = []
    with serving("--data-dir", tmp_path / "data", cwd=tmp_path, **settings) as server:
        listed = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
        with httpx.Client(base_url=server.url, timeout=60) as client:

            def ask(method: str, path: str, body: object = None, token: str = "") -> httpx.Response:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = client.request(method, path, json=body, headers=headers)
                said.append(f"{answer.headers} {answer.text}")
                return answer

            person = {"email": "ada@example.com", "name": "Ada Test", "password": PASSWORD}
            tokens = ask("POST", "/auth/signup", person).json()
            access, refresh = tokens["access_token"], tokens["refresh_token"]
            ask("POST", "/auth/login", {"email": "ada@example.com", "password": WRONG})
            ask("POST", "/auth/login", {"email": "ada@example.com", "password": {"text": PASSWORD}})
            ask("POST", "/auth/signup", {**person, "password": [PASSWORD]})
            ask("GET", "/auth/me", token=TOKEN)
            ask("POST", f"/auth/refresh?refresh_token={refresh}")
            wish = {"name": "t", "instance_type": "small", "image": "debian-12", "user_data": SCRIPT}
            ask("POST", "/templates", wish, access)
            ask("POST", "/templates", {**wish, "name": 7}, access)
            ask("POST", "/templates", {**wish, "image": "none"}, access)
            ask("POST", "/nowhere", {"password": PASSWORD}, access)
        log = server.log()
        stored = (tmp_path / "data" / "zentry.db").read_bytes() + (tmp_path / "data" / "zentry.db-wal").read_bytes()

    assert '"event":"http.request"' in log
    for secret in (KEY, SEAL, PASSWORD, WRONG, "canary-userdata", TOKEN, access, refresh):
        assert secret not in log
        assert not any(secret in line for line in listed)
    for secret in (KEY, SEAL, PASSWORD, WRONG, TOKEN):
        assert not any(secret in text for text in said)
    for secret in (KEY, SEAL, PASSWORD, "canary-userdata", access, refresh):
        assert secret.encode() not in stored
