"""People who use the platform at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.platform import PASSWORD, PlatformUnderTest


@dataclass(slots=True)
class Journey:
    """One person's way from sign-up to the bill, and what came of it."""

    email: str
    vm_id: str = ""
    status: str = ""
    credits: float = 0.0


async def drive_journeys(platform: PlatformUnderTest, journeys: list[Journey]) -> list[str]:
    """Let everyone go at once, with a worker beside them; return what went wrong."""
    stop = asyncio.Event()
    errors: list[str] = []
    # Each asks the less often the more there are: else the asking would be most of the work.
    pause = 0.02 * len(journeys)

    async def travel(journey: Journey) -> None:
        try:
            await _travel(platform, journey, pause)
        except AssertionError as error:
            errors.append(f"{journey.email}: {error}")

    working = asyncio.create_task(work_until(platform, stop))
    await asyncio.gather(*(travel(journey) for journey in journeys))
    stop.set()
    await working
    return errors


async def work_until(platform: PlatformUnderTest, stop: asyncio.Event) -> None:
    """Drive what is due, several at once as a worker does, until told to stop."""
    runner = platform.inner.runner
    while not stop.is_set():
        claims = await runner.claim()
        await asyncio.gather(*(runner.drive(claim) for claim in claims))
        if not claims:
            await asyncio.sleep(0.02)


async def _travel(platform: PlatformUnderTest, journey: Journey, pause: float) -> None:
    person = {"email": journey.email, "name": "Ada Load", "password": PASSWORD}
    token = (await _ask(platform, {}, "POST", "/auth/signup", person))["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    project = await _ask(platform, headers, "POST", "/projects", {"name": "load"})
    wish = {"name": "web", "instance_type": "small", "image": "debian-12", "project_id": project["id"]}
    journey.vm_id = (await _ask(platform, headers, "POST", "/vms", wish))["id"]
    await _rest(platform, headers, journey.vm_id, "running", pause)
    listed = await _ask(platform, headers, "GET", "/vms")
    assert listed["total_count"] == 1, listed
    await _ask(platform, headers, "GET", f"/monitoring/vms/{journey.vm_id}/metrics")
    await _ask(platform, headers, "GET", "/monitoring/dashboard")
    await _ask(platform, headers, "POST", f"/vms/{journey.vm_id}/stop")
    await _rest(platform, headers, journey.vm_id, "stopped", pause)
    await _ask(platform, headers, "DELETE", f"/vms/{journey.vm_id}")
    journey.status = await _rest(platform, headers, journey.vm_id, "terminated", pause)
    history = await _ask(platform, headers, "GET", "/billing/history")
    assert {line["action_type"] for line in history["items"]} == {"vm_create", "credit_add"}, history
    journey.credits = (await _ask(platform, headers, "GET", "/billing/credits"))["current_credits"]


async def _rest(platform: PlatformUnderTest, headers: dict[str, str], vm_id: str, wanted: str, pause: float) -> str:
    """Wait until the machine rests, and return its status, which must be the wanted one."""
    async with asyncio.timeout(300):
        while True:
            vm = await _ask(platform, headers, "GET", f"/vms/{vm_id}")
            if vm["active_operation"] is None:
                assert vm["status"] == wanted, vm
                return str(vm["status"])
            await asyncio.sleep(pause)


async def _ask(
    platform: PlatformUnderTest, headers: dict[str, str], method: str, path: str, body: object | None = None
) -> Any:
    answer = await platform.client.request(method, path, headers=headers, json=body, timeout=300)
    assert answer.status_code in {httpx.codes.OK, httpx.codes.CREATED}, answer.text
    return answer.json()
