"""The serial console of a machine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.platform import Account, PlatformUnderTest
from zentry.compute.simulator.driver import SimulatorDriver
from zentry.compute.simulator.faults import FaultKind, Rule
from zentry.compute.simulator.orders import Action


async def _console(platform: PlatformUnderTest, account: Account, vm_id: str, query: str = "") -> dict[str, Any]:
    answer = await platform.client.get(f"/vms/{vm_id}/console{query}", headers=account.headers)
    return {"status_code": answer.status_code, **answer.json()}


async def test_a_console_shows_the_last_boot_and_the_same_each_time(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, name="web-1", image="ubuntu-24.04")

    first = await _console(platform, account, vm["id"])
    again = await _console(platform, account, vm["id"])
    await platform.client.post(f"/vms/{vm['id']}/stop", headers=account.headers)
    await platform.settle()
    stopped = await _console(platform, account, vm["id"])

    assert first == again
    assert "Ubuntu 24.04 web-1 ttyS0" in first["output"]
    assert vm["ip_address"] in first["output"]
    assert first["output"].count("\n") == first["lines"]
    assert (first["truncated"], "Power down" in first["output"]) == (False, False)
    assert stopped["output"].endswith("reboot: Power down\n")


async def test_a_console_is_cut_to_its_last_lines(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account)

    short = await _console(platform, account, vm["id"], "?lines=2")
    bad = await _console(platform, account, vm["id"], "?lines=0")

    assert (short["lines"], short["truncated"]) == (2, True)
    assert short["output"].endswith("login:\n")
    assert bad["status_code"] == 400


@pytest.mark.parametrize("status", ["creating", "terminated"])
async def test_a_machine_that_does_not_exist_in_the_world_has_an_empty_console(
    platform: PlatformUnderTest, status: str
) -> None:
    account = await platform.signup()
    vm = await platform.given_vm(account, status=status)

    console = await _console(platform, account, vm["id"])
    await platform.settle()

    assert (console["status_code"], console["output"], console["lines"]) == (200, "", 0)


async def test_an_engine_that_is_away_is_told_and_strangers_find_nothing(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    vm = await platform.given_vm(account)
    assert isinstance(platform.driver, SimulatorDriver)
    platform.driver.faults.add(Rule(Action.CONSOLE, FaultKind.UNAVAILABLE))

    away = await _console(platform, account, vm["id"])
    foreign = await _console(platform, stranger, vm["id"])

    assert (away["status_code"], away["error_code"]) == (503, "SERVICE_UNAVAILABLE")
    assert foreign["status_code"] == 404
