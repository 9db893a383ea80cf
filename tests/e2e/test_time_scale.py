"""`zentry serve --time-scale`: hours in seconds, and data that real time has not reached."""

from __future__ import annotations

import itertools
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.support.program import Running, run, serving

_PERSON = {"email": "ada@example.com", "name": "Ada Lovelace", "password": "correct-horse-battery-7"}
_SCALE = "600"


def test_an_hour_of_running_passes_in_seconds_and_is_billed(tmp_path: Path) -> None:
    with serving("--data-dir", "cloud", "--time-scale", _SCALE, cwd=tmp_path) as server, _signed_up(server) as client:
        vm_id = _given_vm(client)

        vm = _until(client, f"/vms/{vm_id}", lambda vm: vm["uptime_hours"] > 1)
        credits_ = _get(client, "/billing/credits")

        assert "600 times as fast" in server.announcement
        assert vm["status"] == "running"
        assert vm["total_cost"] >= 0.9 * vm["cost_per_hour"]  # and the fee of its creation
        assert credits_["current_credits"] < 50
        assert server.stop(signal.SIGTERM) == 0
        assert "Traceback" not in server.log()


def test_real_time_is_refused_on_data_of_the_future_and_scaled_time_goes_on(tmp_path: Path) -> None:
    with serving("--data-dir", "cloud", "--time-scale", _SCALE, cwd=tmp_path) as first, _signed_up(first) as client:
        vm_id = _given_vm(client)
        before = _until(client, f"/vms/{vm_id}", lambda vm: vm["uptime_hours"] > 1)
        client.post(f"/vms/{vm_id}/stop").raise_for_status()
        token = client.headers["Authorization"]
        first.stop(signal.SIGTERM)

    refused = run("serve", "--data-dir", "cloud", "--port", "0", cwd=tmp_path)
    with serving("--data-dir", "cloud", "--time-scale", "1", cwd=tmp_path) as second:
        answer = httpx.get(f"{second.url}/vms/{vm_id}", headers={"Authorization": token})
        after = answer.json()

    assert refused.returncode == 1
    assert "it was used with --time-scale" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert answer.status_code == 200, answer.text
    assert after["uptime_hours"] >= before["uptime_hours"]
    assert datetime.fromisoformat(after["last_stopped"]) > datetime.now(UTC) + timedelta(minutes=30)


def test_what_speaks_against_scaled_time_is_named(tmp_path: Path) -> None:
    refused = run("serve", "--time-scale", "60", cwd=tmp_path, ZENTRY_DATABASE__URL="postgresql://localhost/zentry")
    odd = run("serve", "--time-scale", "0.5", cwd=tmp_path)

    assert refused.returncode == 1
    assert "the database is not SQLite" in refused.stderr
    assert odd.returncode == 2
    assert "0.5" in odd.stderr or "greater than or equal to 1" in odd.stderr


def _signed_up(server: Running) -> httpx.Client:
    session = httpx.post(f"{server.url}/auth/signup", json=_PERSON).raise_for_status().json()
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {session['access_token']}"})


def _given_vm(client: httpx.Client) -> str:
    project = client.post("/projects", json={"name": "demo"}).raise_for_status().json()
    wanted = {"name": "web", "instance_type": "small", "image": "ubuntu-22.04", "project_id": project["id"]}
    vm_id: str = client.post("/vms", json=wanted).raise_for_status().json()["id"]
    _until(client, f"/vms/{vm_id}", lambda vm: vm["status"] == "running")
    return vm_id


def _until(client: httpx.Client, path: str, is_so: Any) -> Any:
    for attempt in itertools.count():
        seen = _get(client, path)
        if is_so(seen):
            return seen
        assert attempt < 300, seen
        time.sleep(0.1)
    raise AssertionError


def _get(client: httpx.Client, path: str) -> Any:
    return client.get(path).raise_for_status().json()
